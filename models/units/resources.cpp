#include "models/units/resources.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>

#include <fmt/format.h>
#include <zlib.h>

#include "models/units/error.hpp"

namespace moesim {
namespace fs = std::filesystem;
namespace {

struct Place {
  const char* installed;    ///< under share/moesim
  const char* source_tree;  ///< under the project
};

Place place_of(Resource kind) {
  switch (kind) {
    case Resource::zoo:
      return {"zoo", "models/llm/zoo"};
    case Resource::catalogue:
      return {"catalogue", "models/hardware/catalogue"};
    case Resource::schema:
      return {"schema", "scenarios/schema"};
    case Resource::profiles:
      return {"profiles", "models/kernels/profiles"};
    case Resource::scenarios:
      break;
  }
  return {"scenarios", "scenarios"};
}

/// $MOESIM_DATA (a share/moesim folder) first, so that a program using the installed library can point at it.
std::vector<fs::path> candidates(Resource kind) {
  const Place place = place_of(kind);
  std::vector<fs::path> folders;
  if (const char* data = std::getenv("MOESIM_DATA")) folders.push_back(fs::path{data} / place.installed);
  std::error_code failure;
  const fs::path executable = fs::read_symlink("/proc/self/exe", failure);
  if (!failure) folders.push_back(executable.parent_path().parent_path() / "share" / "moesim" / place.installed);
  folders.push_back(fs::path{MOESIM_SOURCE_DIR} / place.source_tree);
  return folders;
}

InputError unreadable(const fs::path& file, const std::string& why) {
  return InputError{file.string(), why, "a readable file"};
}

}  // namespace

fs::path resource_folder(Resource kind) {
  std::error_code failure;
  for (const fs::path& folder : candidates(kind))
    if (fs::is_directory(folder, failure)) return folder;
  throw RunError{
      fmt::format("the folder '{}' of shipped data is neither beside the executable nor in the source tree "
                  "(set MOESIM_DATA to a share/moesim folder)",
                  place_of(kind).installed)};
}

std::vector<std::string> resource_names(Resource kind) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator{resource_folder(kind)})
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string read_text_file(const fs::path& file, std::uintmax_t limit) {
  std::error_code failure;
  if (fs::is_directory(file, failure)) throw unreadable(file, "a folder");
  std::ifstream in{file, std::ios::binary};
  if (!in) throw unreadable(file, fs::exists(file, failure) ? "a file without read permission" : "no such file");
  std::string text;
  std::string chunk(1 << 16, '\0');
  while (in) {
    in.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    text.append(chunk, 0, static_cast<std::size_t>(in.gcount()));
    if (text.size() > limit)
      throw InputError{file.string(), fmt::format("more than {} bytes", limit), "a smaller file"};
  }
  return text;
}

namespace {

/// Gathers lines from chunks of text; few bytes of gzip can be many lines, or one without end.
class Lines {
public:
  explicit Lines(const fs::path& file) : file_{file} {}

  void add(std::string_view chunk) {
    while (!chunk.empty()) {
      const std::size_t end = std::min(chunk.find('\n'), chunk.size());
      line_.append(chunk.substr(0, end));
      if (line_.size() > kMostBytes) refuse(fmt::format("a line of more than {} bytes", kMostBytes), "shorter lines");
      if (end == chunk.size()) return;
      if (!line_.empty() && line_.back() == '\r') line_.pop_back();
      push();
      chunk.remove_prefix(end + 1);
    }
  }

  std::vector<std::string> take() {
    if (!line_.empty()) push();
    return std::move(lines_);
  }

private:
  static constexpr std::size_t kMostBytes = 1u << 20, kMostLines = 1u << 24;

  void push() {
    if (lines_.size() == kMostLines) refuse(fmt::format("more than {} lines", kMostLines), "a smaller file");
    lines_.push_back(std::move(line_));
    line_.clear();
  }

  [[noreturn]] void refuse(const std::string& found, const char* expected) const {
    throw InputError{fmt::format("{}:{}", file_.string(), lines_.size() + 1), found, expected};
  }

  const fs::path& file_;
  std::vector<std::string> lines_;
  std::string line_;
};

}  // namespace

std::vector<std::string> read_lines(const fs::path& file, std::uintmax_t limit) {
  std::error_code failure;
  if (fs::is_directory(file, failure)) throw unreadable(file, "a folder");
  if (!fs::exists(file, failure)) throw unreadable(file, "no such file");
  // gzread passes plain text through unchanged.
  const std::unique_ptr<gzFile_s, decltype(&gzclose)> in{gzopen(file.c_str(), "rb"), gzclose};
  if (!in) throw unreadable(file, "a file without read permission");
  gzbuffer(in.get(), 1 << 18);
  Lines lines{file};
  std::string chunk(1 << 18, '\0');
  std::uintmax_t total = 0;
  for (;;) {
    const int got = gzread(in.get(), chunk.data(), static_cast<unsigned>(chunk.size()));
    int status = Z_OK;
    const std::string message = gzerror(in.get(), &status);
    if (got < 0 || (status != Z_OK && status != Z_STREAM_END))
      throw InputError{file.string(), "a broken gzip stream (" + message + ")", "a complete .gz file or plain text"};
    if (got == 0) break;
    total += static_cast<std::uintmax_t>(got);
    if (total > limit) throw InputError{file.string(), fmt::format("more than {} bytes", limit), "a smaller file"};
    lines.add(std::string_view{chunk}.substr(0, static_cast<std::size_t>(got)));
  }
  return lines.take();
}

}  // namespace moesim
