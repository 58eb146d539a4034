#pragma once

namespace moesim::cuda {

/// Deliberate mistakes in a kernel, for the tests that must notice them. Product code uses `none`.
enum class Fault {
  none,
  wait_depth,    ///< waits for one group of copies too few
  barrier,       ///< no barrier between what some threads write and others read
  fragment_row,  ///< rows of an operand in the order of another fragment
  row_guard,     ///< writes rows past the last
  zero_fill,     ///< reads rows past the last
  scale_group,   ///< scales of the group before
  mask,          ///< attends to tokens past the last
  release,       ///< one warp frees a stage for all that read it
  rescale,       ///< keeps sums under an old maximum
};

}  // namespace moesim::cuda
