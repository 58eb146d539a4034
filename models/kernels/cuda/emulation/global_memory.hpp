#pragma once
// Global memory of the emulation: the buffers a test declares. An access outside all of them, a misaligned one, or a
// write into a read-only one is a fault of the kernel.

#include <algorithm>
#include <cstddef>
#include <vector>

namespace moesim::cuda::emulation {

enum class Access { read, write };

/// Throws KernelFault unless the bytes lie in one declared buffer that allows the access, aligned to their number.
void check_global(const void* address, std::size_t bytes, Access access);

/// Declares memory for as long as it lives.
class Declaration {
public:
  Declaration(const void* begin, std::size_t bytes, Access access);
  ~Declaration();
  Declaration(const Declaration&) = delete;
  Declaration& operator=(const Declaration&) = delete;

private:
  const void* begin_;
};

/// An array in global memory, aligned as cudaMalloc does. Made of values it is read-only; made of a size, its bytes are
/// all ones (NaN, -1) and it can be written.
template <class T>
class Buffer {
public:
  explicit Buffer(const std::vector<T>& values) : Buffer{values.size(), Access::read} {
    std::copy(values.begin(), values.end(), data());
  }
  explicit Buffer(std::size_t size) : Buffer{size, Access::write} {}

  T* data() { return reinterpret_cast<T*>(storage_.data()); }
  std::size_t size() const { return size_; }
  std::vector<T> values() { return {data(), data() + size_}; }
  void fill(T value) { std::fill_n(data(), size_, value); }

private:
  struct alignas(256) Line {
    unsigned char bytes[256];
  };
  Buffer(std::size_t size, Access access)
      : size_{size},
        storage_((size * sizeof(T) + sizeof(Line) - 1) / sizeof(Line) + 1, poison()),
        declaration_{storage_.data(), size * sizeof(T), access} {}
  static Line poison() {
    Line line;
    std::fill(std::begin(line.bytes), std::end(line.bytes), static_cast<unsigned char>(0xFF));
    return line;
  }

  std::size_t size_;
  std::vector<Line> storage_;
  Declaration declaration_;
};

}  // namespace moesim::cuda::emulation
