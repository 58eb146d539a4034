#pragma once
// Commands that results show, to be pasted into a shell.

#include <string>
#include <string_view>

namespace moesim {

/// The text as one word of a POSIX shell: as it is where that is safe, else in single quotes.
std::string shell_word(std::string_view text);

}  // namespace moesim
