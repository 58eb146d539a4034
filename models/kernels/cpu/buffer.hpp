#pragma once
// Memory of the expert FFN that is written before it is read.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "models/kernels/profile.hpp"

namespace moesim {

/// Storage for elements of a format that does not fill itself.
class Buffer {
public:
  void resize(std::size_t elements, KernelFormat format) {
    const std::size_t bytes = elements * (format == KernelFormat::bf16 ? 2 : 4);
    if (bytes > bytes_) memory_.reset();
    if (bytes > bytes_) memory_ = std::make_unique_for_overwrite<float[]>(bytes / sizeof(float) + 1);
    bytes_ = std::max(bytes, bytes_);
  }
  float* floats() const { return memory_.get(); }
  std::uint16_t* halves() const { return reinterpret_cast<std::uint16_t*>(memory_.get()); }  // NOLINT: raw storage
  std::int8_t* codes() const { return reinterpret_cast<std::int8_t*>(memory_.get()); }       // NOLINT
  std::int32_t* sums() const { return reinterpret_cast<std::int32_t*>(memory_.get()); }      // NOLINT

private:
  std::unique_ptr<float[]> memory_;
  std::size_t bytes_ = 0;
};

}  // namespace moesim
