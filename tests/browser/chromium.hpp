#pragma once
// A headless Chromium with one page, driven over its debugging pipe (Chrome DevTools Protocol, JSON ended by NUL).

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace moesim::testing {

/// Environment MOESIM_CHROMIUM, else chromium, chromium-browser or google-chrome in PATH; empty where there is none.
std::string find_chromium();

class DebuggingPipe;

/// Every function throws std::runtime_error when the browser answers with an error or not within 30 s.
class Chromium {
public:
  explicit Chromium(const std::string& program);
  ~Chromium();
  Chromium(const Chromium&) = delete;
  Chromium& operator=(const Chromium&) = delete;

  /// In CSS pixels; holds for the pages opened later too.
  void set_size(int width, int height);
  /// "print", "screen" or "" for the usual one.
  void set_media(const std::string& media);
  /// "dark", "light" or "" for the usual one.
  void set_colour_scheme(const std::string& scheme);
  /// Files that the page saves are put into the folder.
  void save_downloads_to(const std::string& folder);
  /// Waits until one more download is whole: before that its file may be there and empty.
  void wait_for_download();

  /// Waits for the load event; forgets the problems and requests of the page before.
  void open(const std::string& file);
  /// The value of a JavaScript expression; a promise is awaited. What it throws is thrown.
  nlohmann::json evaluate(const std::string& expression);
  /// The same, of an expression that gives text.
  std::string text(const std::string& expression) { return evaluate(expression).get<std::string>(); }
  /// Presses and releases Enter in the element that has the focus.
  void press_enter();
  /// A PDF of the page.
  std::string print_to_pdf(const nlohmann::json& options);

  /// Console errors and warnings, exceptions, breaches of the page's policy since open().
  const std::vector<std::string>& problems() const { return problems_; }
  /// Addresses asked for since open().
  const std::vector<std::string>& requests() const { return requests_; }

private:
  nlohmann::json call(const std::string& method, const nlohmann::json& parameters, bool of_page = true);
  nlohmann::json next_message();
  void hear(const nlohmann::json& event);
  void emulate();

  std::unique_ptr<DebuggingPipe> pipe_;
  std::string session_, media_, scheme_;
  std::vector<std::string> problems_, requests_;
  int last_id_ = 0;
  bool loaded_ = false;
  int downloads_ = 0;  ///< whole ones that nobody waited for
};

}  // namespace moesim::testing
