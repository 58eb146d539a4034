#include "sim/cli/atomic_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include "models/units/error.hpp"

namespace moesim {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& file, int error) {
  throw RunError{fmt::format("cannot write {}: {}", file.string(), std::strerror(error))};
}

/// The file that a chain of links ends at, which need not be there.
fs::path target_of(fs::path file) {
  constexpr int kMostLinks = 40;  // as many as Linux follows
  std::error_code failure;
  for (int links = 0; fs::is_symlink(fs::symlink_status(file, failure)); ++links) {
    if (links == kMostLinks) fail(file, ELOOP);
    file = file.parent_path() / fs::read_symlink(file);
  }
  return file;
}

/// What stands where a file should be written, if it is there and not a regular file.
std::optional<std::string> obstacle(const fs::path& file) {
  std::error_code failure;
  switch (fs::status(file, failure).type()) {
    case fs::file_type::directory:
      return "a folder";
    case fs::file_type::block:
    case fs::file_type::character:
      return "a device";
    case fs::file_type::fifo:
      return "a named pipe";
    case fs::file_type::socket:
      return "a socket";
    default:
      return std::nullopt;
  }
}

constexpr const char* kRegular = "a new or a regular file";

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path{"."};
}

/// A new file that is closed and removed unless `keep_as` succeeds.
class Temporary {
public:
  /// Opened with 0666 less the umask, as any other result file (mkstemp would make it unreadable to others).
  explicit Temporary(const fs::path& target) : target_{target} {
    for (int attempt = 0; descriptor_ < 0; ++attempt) {
      path_ = folder_of(target) / fmt::format(".{}.{}.{}.tmp", target.filename().string(), ::getpid(), attempt);
      descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor_ < 0 && errno != EEXIST) fail(target_, errno);
    }
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;
  ~Temporary() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  void write(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(descriptor_, text.data(), text.size());
      if (written >= 0)
        text.remove_prefix(static_cast<std::size_t>(written));
      else if (errno != EINTR)
        fail(target_, errno);
    }
  }

  /// Disks with delayed allocation report that they are full only here, so both results count.
  void keep() {
    if (::fsync(descriptor_) != 0) fail(target_, errno);
    const int closed = ::close(descriptor_);
    descriptor_ = -1;
    if (closed != 0) fail(target_, errno);
    if (std::rename(path_.c_str(), target_.c_str()) != 0) fail(target_, errno);
    path_.clear();
  }

private:
  fs::path target_, path_;
  int descriptor_ = -1;
};

/// Makes the rename survive a power cut. Some network file systems cannot sync a folder (EINVAL); the file is whole
/// there too.
void sync_folder(const fs::path& file) {
  const int folder = ::open(folder_of(file).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) fail(file, errno);
  const int error = ::fsync(folder) == 0 || errno == EINVAL ? 0 : errno;
  ::close(folder);
  if (error != 0) fail(file, error);
}

}  // namespace

void write_file_atomically(const fs::path& file, std::string_view text, AtLink at_link) {
  const fs::path target = at_link == AtLink::follow ? target_of(file) : file;
  std::error_code failure;
  const bool replaces_link = at_link == AtLink::replace && fs::is_symlink(fs::symlink_status(target, failure));
  if (const auto other = obstacle(target); other && !replaces_link) throw InputError{file.string(), *other, kRegular};
  Temporary temporary{target};
  temporary.write(text);
  temporary.keep();
  sync_folder(target);
}

void check_outputs(const std::vector<NamedOutput>& outputs, bool force) {
  std::vector<NamedOutput> checked;
  for (const auto& [option, file] : outputs) {
    if (file.empty()) continue;
    const fs::path target = fs::absolute(target_of(file)).lexically_normal();
    const auto found = [&](const std::string& what) { return fmt::format("'{}', which is {}", file.string(), what); };
    if (const auto other = obstacle(target)) throw InputError{option, found(*other), kRegular};
    if (fs::exists(target) && !force)
      throw InputError{option, fmt::format("'{}', which exists", file.string()),
                       "a new file, or --force to replace it"};
    for (const NamedOutput& before : checked)
      if (before.file == target) throw InputError{option, found("the file of " + before.option), "a file of its own"};
    checked.push_back({option, target});
  }
}

void check_writable(const NamedOutput& output) {
  const auto& [option, file] = output;
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path{"."};
  const auto refuse = [&](const std::string& why) {
    throw InputError{option, fmt::format("'{}': {}", file.string(), why), "a file that can be written"};
  };
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) refuse(failure.message());
  const fs::path probe = folder / fmt::format(".{}.{}.tmp", file.filename().string(), ::getpid());
  try {
    write_file_atomically(probe, "");
  } catch (const RunError&) {
    refuse("its folder takes no new file");
  }
  fs::remove(probe, failure);
}

}  // namespace moesim
