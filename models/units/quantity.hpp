#pragma once
// Physical quantities as types: adding bytes to seconds, or swapping two arguments, does not compile.

#include <compare>

namespace moesim {

/// A double that remembers its dimension: FLOP^F * byte^B * second^S.
template <int F, int B, int S>
class Quantity {
public:
  constexpr Quantity() = default;
  constexpr explicit Quantity(double value) : value_{value} {}

  /// The bare number in base units (FLOP, byte, second). Only for I/O and library edges.
  constexpr double value() const { return value_; }

  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity& operator+=(Quantity other) {
    value_ += other.value_;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity other) {
    value_ -= other.value_;
    return *this;
  }

private:
  double value_ = 0;
};

template <int F, int B, int S>
constexpr Quantity<F, B, S> operator+(Quantity<F, B, S> a, Quantity<F, B, S> b) {
  return a += b;
}
template <int F, int B, int S>
constexpr Quantity<F, B, S> operator-(Quantity<F, B, S> a, Quantity<F, B, S> b) {
  return a -= b;
}
template <int F, int B, int S>
constexpr Quantity<F, B, S> operator*(double k, Quantity<F, B, S> q) {
  return Quantity<F, B, S>{k * q.value()};
}
template <int F, int B, int S>
constexpr Quantity<F, B, S> operator*(Quantity<F, B, S> q, double k) {
  return k * q;
}
template <int F, int B, int S>
constexpr Quantity<F, B, S> operator/(Quantity<F, B, S> q, double k) {
  return Quantity<F, B, S>{q.value() / k};
}
template <int F1, int B1, int S1, int F2, int B2, int S2>
constexpr auto operator*(Quantity<F1, B1, S1> a, Quantity<F2, B2, S2> b) {
  return Quantity<F1 + F2, B1 + B2, S1 + S2>{a.value() * b.value()};
}
template <int F1, int B1, int S1, int F2, int B2, int S2>
constexpr auto operator/(Quantity<F1, B1, S1> a, Quantity<F2, B2, S2> b) {
  return Quantity<F1 - F2, B1 - B2, S1 - S2>{a.value() / b.value()};
}
/// The ratio of two like quantities is a plain number.
template <int F, int B, int S>
constexpr double operator/(Quantity<F, B, S> a, Quantity<F, B, S> b) {
  return a.value() / b.value();
}

using Flops = Quantity<1, 0, 0>;
using Bytes = Quantity<0, 1, 0>;
using Seconds = Quantity<0, 0, 1>;
using FlopsPerSecond = Quantity<1, 0, -1>;
using BytesPerSecond = Quantity<0, 1, -1>;

inline namespace literals {
// clang-format off
constexpr Flops operator""_GFLOP(long double v) { return Flops{static_cast<double>(v) * 1e9}; }
constexpr Bytes operator""_B(unsigned long long v) { return Bytes{static_cast<double>(v)}; }
constexpr Bytes operator""_KiB(unsigned long long v) { return Bytes{static_cast<double>(v) * 1024}; }
constexpr Bytes operator""_MiB(unsigned long long v) { return Bytes{static_cast<double>(v) * 1048576}; }
constexpr Bytes operator""_GiB(unsigned long long v) { return Bytes{static_cast<double>(v) * 1073741824}; }
constexpr Bytes operator""_GB(long double v) { return Bytes{static_cast<double>(v) * 1e9}; }
constexpr Seconds operator""_s(long double v) { return Seconds{static_cast<double>(v)}; }
constexpr Seconds operator""_ms(long double v) { return Seconds{static_cast<double>(v) * 1e-3}; }
constexpr Seconds operator""_us(long double v) { return Seconds{static_cast<double>(v) * 1e-6}; }
constexpr BytesPerSecond operator""_GBps(long double v) { return BytesPerSecond{static_cast<double>(v) * 1e9}; }
constexpr BytesPerSecond operator""_TBps(long double v) { return BytesPerSecond{static_cast<double>(v) * 1e12}; }
constexpr FlopsPerSecond operator""_TFLOPps(long double v) { return FlopsPerSecond{static_cast<double>(v) * 1e12}; }
// clang-format on
}  // namespace literals

}  // namespace moesim
