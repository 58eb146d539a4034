#include "sim/cli/atomic_file.hpp"

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "models/units/error.hpp"
#include "tests/catch_compat.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim;
using moesim::testing::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

long entries(const fs::path& folder) {
  return std::distance(fs::directory_iterator{folder}, {});
}

/// Lets this process write files of `bytes` at most: what a quota or a full disk does, without root.
class FileSizeLimit {
public:
  explicit FileSizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("A new file has the text, all of it, and its folder has nothing else", "[cli]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "summary.json";
  const std::string text = std::string(3 << 20, 'x') + '\0' + "end\n";
  write_file_atomically(file, text);
  CHECK(text_of(file) == text);
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("An existing file is replaced, even by nothing", "[cli]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "summary.json";
  write_file_atomically(file, "old and longer");
  write_file_atomically(file, "new");
  CHECK(text_of(file) == "new");
  write_file_atomically(file, "");
  CHECK(fs::file_size(file) == 0);
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("A result file is as readable as the umask allows", "[cli]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "summary.json";
  const mode_t before = ::umask(022);
  write_file_atomically(file, "{}");
  ::umask(before);
  struct stat status {};
  REQUIRE(::stat(file.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0644);
}

TEST_CASE("A bare file name is written into the current folder", "[cli]") {
  const TemporaryFolder folder;
  const auto before = fs::current_path();
  fs::current_path(folder.path());
  write_file_atomically("bare.txt", "here");
  fs::current_path(before);
  CHECK(text_of(folder.path() / "bare.txt") == "here");
}

TEST_CASE("A missing folder is named with the reason", "[cli]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "absent" / "summary.json";
  REQUIRE_THROWS_WITH(write_file_atomically(file, "{}"),
                      "cannot write " + file.string() + ": No such file or directory");
  CHECK(entries(folder.path()) == 0);
}

TEST_CASE("A folder in the place of the file is left alone", "[cli]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "summary.json";
  fs::create_directories(file / "inside");
  REQUIRE_THROWS_WITH(write_file_atomically(file, "{}"),
                      file.string() + ": got a folder, expected a new or a regular file");
  CHECK(fs::exists(file / "inside"));
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("A link stays, and what it points to is written, there or not", "[cli]") {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "far");
  fs::create_symlink("far/real.svg", folder.path() / "near.svg");
  fs::create_symlink("near.svg", folder.path() / "link.svg");
  for (const std::string text : {"new", "newer"}) {
    write_file_atomically(folder.path() / "link.svg", text);
    CHECK(text_of(folder.path() / "far" / "real.svg") == text);
    CHECK(fs::is_symlink(folder.path() / "link.svg"));
    CHECK(fs::is_symlink(folder.path() / "near.svg"));
  }
  CHECK(entries(folder.path() / "far") == 1);
  fs::create_symlink("round", folder.path() / "round");
  REQUIRE_THROWS_WITH(write_file_atomically(folder.path() / "round", "x"),
                      Catch::Matchers::Contains("Too many levels of symbolic links"));
}

TEST_CASE("In a folder of results a link is replaced by the file", "[cli]") {
  const TemporaryFolder folder;
  const std::string old = folder.write("old", "old");
  const auto pipe = folder.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  for (const char* target : {"old", "nowhere", "pipe"}) {
    fs::create_symlink(target, folder.path() / "link");
    write_file_atomically(folder.path() / "link", "new", AtLink::replace);
    CHECK(fs::is_regular_file(fs::symlink_status(folder.path() / "link")));
    CHECK(text_of(folder.path() / "link") == "new");
    fs::remove(folder.path() / "link");
  }
  CHECK(text_of(old) == "old");
  REQUIRE_THROWS_WITH(write_file_atomically(pipe, "x", AtLink::replace),
                      pipe.string() + ": got a named pipe, expected a new or a regular file");
}

TEST_CASE("A pipe and a device are left alone, also behind a link", "[cli]") {
  const TemporaryFolder folder;
  const auto pipe = folder.path() / "pipe", device = folder.path() / "full", link = folder.path() / "link";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  fs::create_symlink("pipe", link);
  REQUIRE_THROWS_WITH(write_file_atomically(pipe, "{}"),
                      pipe.string() + ": got a named pipe, expected a new or a regular file");
  REQUIRE_THROWS_WITH(write_file_atomically(link, "{}"),
                      link.string() + ": got a named pipe, expected a new or a regular file");
  CHECK(fs::is_fifo(pipe));
  CHECK(fs::is_symlink(link));
  if (::mknod(device.c_str(), S_IFCHR | 0600, makedev(1, 7)) != 0) {
    std::fprintf(stderr, "SKIPPED: a device needs root\n");
    return;
  }
  REQUIRE_THROWS_WITH(write_file_atomically(device, "{}"),
                      device.string() + ": got a device, expected a new or a regular file");
  CHECK(fs::is_character_file(device));
  CHECK(entries(folder.path()) == 3);
}

TEST_CASE("Outputs are refused at their option before any work is done", "[cli]") {
  const TemporaryFolder folder;
  const std::string old = folder.write("old.svg", "old"), fresh = folder.path("fresh.svg");
  fs::create_symlink("old.svg", folder.path() / "link.svg");
  CHECK_NOTHROW(check_outputs({{"--svg", fresh}, {"--dot", ""}}, false));
  CHECK_NOTHROW(check_outputs({{"--svg", old}}, true));
  REQUIRE_THROWS_WITH(check_outputs({{"--svg", old}}, false),
                      "--svg: got '" + old + "', which exists, expected a new file, or --force to replace it");
  REQUIRE_THROWS_WITH(check_outputs({{"--dot", folder.path("link.svg")}}, false),
                      Catch::Matchers::Contains("link.svg', which exists"));
  REQUIRE_THROWS_WITH(
      check_outputs({{"--dot", folder.path().string()}}, true),
      "--dot: got '" + folder.path().string() + "', which is a folder, expected a new or a regular file");
  REQUIRE_THROWS_WITH(
      check_outputs({{"--dot", fresh}, {"--svg", folder.path("./fresh.svg")}}, false),
      "--svg: got '" + folder.path("./fresh.svg") + "', which is the file of --dot, expected a file of its own");
}

TEST_CASE("A write that stops half way leaves the old file and no temporary", "[cli]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "summary.json";
  write_file_atomically(file, "old");
  const std::string text(1 << 20, 'x');
  {
    const FileSizeLimit limit{64 << 10};  // the first 64 KiB are written, then EFBIG
    REQUIRE_THROWS_WITH(write_file_atomically(file, text), "cannot write " + file.string() + ": File too large");
  }
  CHECK(text_of(file) == "old");
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("A full disk leaves the old file and says so", "[cli]") {
  const TemporaryFolder folder;
  if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=128k") != 0) {
    std::fprintf(stderr, "SKIPPED: a small tmpfs needs root\n");
    return;
  }
  const auto file = folder.path() / "summary.json";
  std::string failure;
  write_file_atomically(file, "old");
  try {
    write_file_atomically(file, std::string(1 << 20, 'x'));
  } catch (const RunError& error) {
    failure = error.what();
  }
  const std::string kept = text_of(file);
  const long left = entries(folder.path());
  ::umount(folder.path().c_str());
  CHECK(failure == "cannot write " + file.string() + ": No space left on device");
  CHECK(kept == "old");
  CHECK(left == 1);
}
