#pragma once
// Result files that are either whole or not there.

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace moesim {

/// Replaces `file` by `text`: a temporary beside it, written, synced, renamed; then the folder is synced.
///
/// A reader sees the old file or the new one, never a part. On failure the old file is untouched and the temporary is
/// gone. A link that stands there stays, and what it points to is replaced, where the user named the file; in a folder
/// of results, which may be somebody else's, the link itself is replaced. Throws InputError where a device, a pipe, a
/// socket or a folder stands, which is left alone, and RunError naming the path and the system's reason, as "cannot
/// write out/a/summary.json: No space left on device".
enum class AtLink { follow, replace };
void write_file_atomically(const std::filesystem::path& file, std::string_view text, AtLink at_link = AtLink::follow);

/// A file that the user wants written, and the option that names it.
struct NamedOutput {
  std::string option;
  std::filesystem::path file;
};

/// Whether a command may write these files, asked before it does its work: what is there already must be a regular
/// file, and needs `force`. Options that were not given have no file. Throws InputError at the option, also for two
/// options that name one file.
void check_outputs(const std::vector<NamedOutput>& outputs, bool force);

/// Makes the folder and tries a file in it, so that work need not be done for nothing. Throws InputError at the option.
void check_writable(const NamedOutput& output);

}  // namespace moesim
