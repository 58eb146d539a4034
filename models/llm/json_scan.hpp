#pragma once
// Internal to models/llm: what a JSON library does not tell about a file, found in one pass before it is read.

#include <cstddef>
#include <string>
#include <vector>

namespace moesim {

/// A key of the outermost object, or of an object in it (then `section` is that object's key).
struct KeyPlace {
  std::string section, name;
  std::size_t offset = 0;
};

/// Checks that `text` is JSON, nested at most 64 deep, without a key twice in one object.
/// Returns the keys of the two outermost levels, in file order.
/// Throws InputError at ORIGIN:LINE:COLUMN.
std::vector<KeyPlace> scan_json(const std::string& text, const std::string& origin);

}  // namespace moesim
