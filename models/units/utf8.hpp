#pragma once
// Text in UTF-8.

#include <cstddef>
#include <optional>
#include <string_view>

namespace moesim {

/// Bytes of the UTF-8 sequence at `at`, 0 when it is none. Overlong forms, surrogates and what is beyond U+10FFFF are
/// none.
std::size_t utf8_length(std::string_view text, std::size_t at);

/// The first byte that begins no UTF-8 sequence, or is a control character: of names, which terminals show.
std::optional<std::size_t> not_printable(std::string_view text);

}  // namespace moesim
