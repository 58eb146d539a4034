#pragma once
// "450 GB/s" to quantities and back. GB = 1e9, GiB = 2^30, Gb/s = 1e9 bits per second.

#include <string>
#include <string_view>

#include "models/units/quantity.hpp"

namespace moesim {

/// Read a number with its unit, as "400 Gb/s", "80 GiB", "2 s", "1.2 us", "989.5 TFLOP/s".
/// `where` names the key in the error. A bare number is refused with the likely unit as the fix; so are NaN,
/// infinity and negative values.
/// Throws InputError.
BytesPerSecond parse_bandwidth(std::string_view text, std::string_view where);
Bytes parse_bytes(std::string_view text, std::string_view where);
Seconds parse_seconds(std::string_view text, std::string_view where);
FlopsPerSecond parse_flops_rate(std::string_view text, std::string_view where);

/// The shortest text that reads back to the same value ("450 GB/s"; "80 GiB" when it is a whole number of GiB).
std::string to_text(BytesPerSecond value);
std::string to_text(Bytes value);
std::string to_text(Seconds value);
std::string to_text(FlopsPerSecond value);

/// For people: four significant digits and the handiest unit ("71.24 GiB", "48.13 ms").
std::string human(BytesPerSecond value);
std::string human(Bytes value);
std::string human(Seconds value);

/// 46702792704 -> "46,702,792,704".
std::string with_commas(long long value);

}  // namespace moesim
