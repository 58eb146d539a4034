// The launcher at the root, tried on a project of one script: what it promises does not depend on what it builds.

#include <filesystem>
#include <fstream>

#include "tests/catch_compat.hpp"
#include "tests/cli/run_command.hpp"
#include "tests/temporary_folder.hpp"

using namespace moesim::testing;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

/// A checkout whose "binary" is a copy of program.sh, which prints its arguments and ends with the number in
/// $ENDS_WITH.
class Checkout {
public:
  Checkout() {
    for (const char* folder : {"models", "sim", "plots"}) fs::create_directory(root() / folder);
    fs::copy_file(fs::path{MOESIM_TEST_SOURCE_DIR} / "moesim", root() / "moesim");
    write("CMakeLists.txt",
          "cmake_minimum_required(VERSION 3.22)\nproject(stub NONE)\nset(out ${CMAKE_BINARY_DIR}/sim/cli/moesim)\n"
          "add_custom_command(OUTPUT ${out} DEPENDS ${CMAKE_SOURCE_DIR}/program.sh\n"
          "  COMMAND sh -n ${CMAKE_SOURCE_DIR}/program.sh\n"
          "  COMMAND install -D ${CMAKE_SOURCE_DIR}/program.sh ${out})\nadd_custom_target(moesim DEPENDS ${out})\n");
    write("program.sh", "#!/bin/sh\nprintf '<%s>' \"$@\"\nexit ${ENDS_WITH:-0}\n");
  }
  void write(const char* file, const std::string& text) const { folder_.write(file, text); }
  const fs::path& root() const { return folder_.path(); }
  fs::path launcher() const { return root() / "moesim"; }

private:
  TemporaryFolder folder_{"moesim launcher"};  // with a space
};

}  // namespace

TEST_CASE("The launcher builds, says so once, and passes arguments and exit code on as they are", "[cli]") {
  const Checkout checkout;
  const CommandResult first = run_program(checkout.launcher(), {"a b", "", "*", "--x=$HOME"}, {.folder = "/"});
  CHECK(first.out == "<a b><><*><--x=$HOME>");
  CHECK(first.exit == 0);
  CHECK_THAT(first.err, Contains("moesim: building (first time: about "));

  const CommandResult second = run_program(checkout.launcher(), {"c"}, {.environment = {{"ENDS_WITH", "4"}}});
  CHECK(second.out == "<c>");
  CHECK(second.exit == 4);
  CHECK(second.err.empty());
}

TEST_CASE("The launcher finds its checkout through a symbolic link", "[cli]") {
  const Checkout checkout;
  fs::create_directory(checkout.root() / "elsewhere");
  const fs::path link = checkout.root() / "elsewhere" / "link";
  fs::create_symlink("../moesim", link);
  const CommandResult result = run_program(link, {"x"}, {.folder = checkout.root() / "elsewhere"});
  CHECK(result.out == "<x>");
  CHECK(fs::exists(checkout.root() / "build" / "release" / "sim" / "cli" / "moesim"));
}

TEST_CASE("The launcher runs what the sources say now, also after the checkout moved", "[cli]") {
  const Checkout checkout;
  CHECK(run_program(checkout.launcher(), {"x"}).out == "<x>");
  checkout.write("program.sh", "#!/bin/sh\necho changed\n");
  CHECK(run_program(checkout.launcher(), {"x"}).out == "changed\n");

  const fs::path moved = checkout.root() / "sim" / "moved";  // below the folder that is removed in the end
  fs::create_directory(moved);
  for (const char* name : {"moesim", "CMakeLists.txt", "program.sh", "build"})
    fs::rename(checkout.root() / name, moved / name);
  for (const char* folder : {"models", "sim", "plots"}) fs::create_directory(moved / folder);
  std::ofstream{moved / "program.sh"} << "#!/bin/sh\necho moved\n";
  CHECK(run_program(moved / "moesim", {"x"}).out == "moved\n");
}

TEST_CASE("A build that fails exits 1 with the end of the log, and the next call repairs it", "[cli]") {
  const Checkout checkout;
  checkout.write("program.sh", "#!/bin/sh\nif then\n");
  const CommandResult broken = run_program(checkout.launcher(), {"x"});
  CHECK(broken.exit == 1);
  CHECK(broken.out.empty());
  CHECK_THAT(broken.err, Contains("moesim: the build failed; the last lines of ") && Contains("build/setup.log") &&
                             Contains("program.sh: "));
  checkout.write("program.sh", "#!/bin/sh\necho repaired\n");
  CHECK(run_program(checkout.launcher(), {"x"}).out == "repaired\n");
}

TEST_CASE("A checkout that cannot be written builds where MOESIM_BUILD says", "[cli]") {
  const Checkout checkout;
  const std::string elsewhere = checkout.root() / "elsewhere";
  const CommandResult result = run_program(checkout.launcher(), {"x"}, {.environment = {{"MOESIM_BUILD", elsewhere}}});
  CHECK(result.out == "<x>");
  CHECK_FALSE(fs::exists(checkout.root() / "build"));
  // A file in the place of the folder: not even root can build there.
  checkout.write("build", "");
  const CommandResult refused = run_program(checkout.launcher(), {"x"});
  CHECK(refused.exit == 1);
  CHECK_THAT(refused.err, Contains("build cannot be written: set MOESIM_BUILD to a folder of yours"));
}
