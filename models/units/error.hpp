#pragma once
// The three ways a run can end that are not our bugs. Exit codes are those of the command line.

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace moesim {

/// The user's mistake (exit 2): which key or file place, what was found, what is expected.
/// what() reads "WHERE: got FOUND, expected EXPECTED", with "; did you mean HINT?" when there is a near match.
class InputError : public std::runtime_error {
public:
  InputError(std::string where, std::string found, std::string expected, std::string hint = {});

  const std::string& where() const { return where_; }
  const std::string& found() const { return found_; }
  const std::string& expected() const { return expected_; }
  const std::string& hint() const { return hint_; }

protected:
  struct Verbatim {};
  InputError(Verbatim, std::string message, std::string where, std::string found, std::string expected);

private:
  std::string where_, found_, expected_, hint_;
};

/// A key or value that is part of the contract but whose feature does not exist yet (exit 2).
/// what() reads "WHERE: FOUND is not modelled yet; use INSTEAD".
class NotModelledYet : public InputError {
public:
  NotModelledYet(std::string where, std::string found, std::string instead);
};

/// The deployment cannot work (exit 4): the limit that breaks it, and remedies with their numbers.
class Infeasible : public std::runtime_error {
public:
  Infeasible(std::string limit, std::vector<std::string> remedies);
  const std::vector<std::string>& remedies() const { return remedies_; }

private:
  std::vector<std::string> remedies_;
};

/// The run or the disk failed (exit 1).
class RunError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// The candidate nearest to `word` in edit distance, at most a third of its length and whatever the case, else the
/// first that it is the start of ("h100" of "h100-sxm"), else "".
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace moesim
