#pragma once
// Result files that are either whole or not there.

#include <filesystem>
#include <string_view>

namespace moesim {

/// Replaces `file` by `text`: a temporary beside it, written, synced, renamed; then the folder is synced.
///
/// A reader sees the old file or the new one, never a part. On failure the old file is untouched and the temporary is
/// gone. Throws RunError naming the path and the system's reason, as "cannot write out/a/summary.json: No space left on
/// device".
void write_file_atomically(const std::filesystem::path& file, std::string_view text);

}  // namespace moesim
