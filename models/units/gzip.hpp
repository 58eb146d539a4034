#pragma once
// The other way of read_lines, which reads .gz files.

#include <string>
#include <string_view>

namespace moesim {

/// `text` as a .gz file, without a date or a name in its header: equal texts give equal bytes (with one version of
/// zlib). Throws RunError when zlib has no memory.
std::string gzipped(std::string_view text);

}  // namespace moesim
