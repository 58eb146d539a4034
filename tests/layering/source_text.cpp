#include <algorithm>
#include <cctype>

#include "tests/layering/layering.hpp"

namespace moesim::layering {
namespace {

/// Walks over C++ text and blanks what is not code, keeping line ends.
class Blanker {
public:
  explicit Blanker(std::string_view text) : text_(text) {}

  std::string code() {
    while (at_ < text_.size()) step();
    return std::move(out_);
  }

private:
  bool starts(std::string_view with) const { return text_.substr(at_).starts_with(with); }

  void keep() { out_ += text_[at_++]; }

  void blank_past(std::string_view end) {
    const std::size_t stop = std::min(text_.find(end, at_), text_.size());
    while (at_ < std::min(stop + end.size(), text_.size())) blank();
  }

  void blank() {
    out_ += text_[at_] == '\n' ? '\n' : ' ';
    ++at_;
  }

  void step() {
    if (starts("//")) {
      while (at_ < text_.size() && text_[at_] != '\n') blank();
    } else if (starts("/*")) {
      blank_past("*/");
    } else if (starts("R\"")) {
      const std::size_t open = text_.find('(', at_);
      const std::string end = ")" + std::string{text_.substr(at_ + 2, open - at_ - 2)} + "\"";
      blank_past(end);
    } else if (text_[at_] == '"' && !on_include_line()) {
      literal('"');
    } else if (text_[at_] == '\'' && !digit_separator()) {
      literal('\'');
    } else {
      keep();
    }
  }

  void literal(char quote) {
    keep();
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) blank();
      blank();
    }
    if (at_ < text_.size()) keep();
  }

  bool digit_separator() const { return at_ > 0 && std::isxdigit(static_cast<unsigned char>(text_[at_ - 1])) != 0; }

  bool on_include_line() const {
    const std::size_t begin = out_.rfind('\n') + 1;  // npos + 1 is 0
    return out_.substr(begin).starts_with("#include");
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::vector<std::string> code_lines(std::string_view text) {
  return lines_of(Blanker{text}.code());
}

bool is_header(std::string_view path) {
  return path.ends_with(".hpp") || path.ends_with(".cuh");
}

}  // namespace moesim::layering
