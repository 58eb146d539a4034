#include "tests/browser/chromium.hpp"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>

#include <unistd.h>

#include "tests/browser/debugging_pipe.hpp"

namespace moesim::testing {
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

std::string in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders{path != nullptr ? path : ""};
  for (std::string folder; std::getline(folders, folder, ':');)
    if (const fs::path file = fs::path{folder} / program; ::access(file.c_str(), X_OK) == 0) return file.string();
  return {};
}

/// The words of a console call or of an exception.
std::string words(const Json& parameters) {
  if (parameters.contains("exceptionDetails")) return parameters["exceptionDetails"].dump();
  std::string text;
  for (const Json& argument : parameters.value("args", Json::array()))
    text += (text.empty() ? "" : " ") + argument.value("value", argument).dump();
  return text;
}

std::string base64_decoded(const std::string& text) {
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0;
  int count = 0;
  for (char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<unsigned>(letters.find(c));
    if ((count += 6) >= 8) bytes += static_cast<char>(bits >> (count -= 8) & 0xFF);
  }
  return bytes;
}

}  // namespace

std::string find_chromium() {
  if (const char* named = std::getenv("MOESIM_CHROMIUM"); named != nullptr && *named != '\0') return named;
  for (const char* name : {"chromium", "chromium-browser", "google-chrome"})
    if (const std::string found = in_path(name); !found.empty()) return found;
  return {};
}

Chromium::Chromium(const std::string& program) {
  std::signal(SIGPIPE, SIG_IGN);  // a browser that ended is an error of send()
  pipe_ = std::make_unique<DebuggingPipe>(program);
  const Json target = call("Target.createTarget", {{"url", "about:blank"}}, false);
  const Json attached = call("Target.attachToTarget", {{"targetId", target.at("targetId")}, {"flatten", true}}, false);
  session_ = attached.at("sessionId");
  for (const char* domain : {"Page", "Runtime", "Log", "Network"})
    call(std::string{domain} + ".enable", Json::object());
}

Chromium::~Chromium() = default;

void Chromium::set_size(int width, int height) {
  call("Emulation.setDeviceMetricsOverride",
       {{"width", width}, {"height", height}, {"deviceScaleFactor", 1}, {"mobile", false}});
}

void Chromium::set_media(const std::string& media) {
  media_ = media;
  emulate();
}

void Chromium::set_colour_scheme(const std::string& scheme) {
  scheme_ = scheme;
  emulate();
}

void Chromium::emulate() {
  call("Emulation.setEmulatedMedia",
       {{"media", media_}, {"features", Json::array({{{"name", "prefers-color-scheme"}, {"value", scheme_}}})}});
}

void Chromium::save_downloads_to(const std::string& folder) {
  call("Browser.setDownloadBehavior", {{"behavior", "allow"}, {"downloadPath", folder}, {"eventsEnabled", true}},
       false);
}

void Chromium::wait_for_download() {
  while (downloads_ == 0) hear(next_message());
  --downloads_;
}

void Chromium::open(const std::string& file) {
  problems_.clear();
  requests_.clear();
  loaded_ = false;
  call("Page.navigate", {{"url", "file://" + fs::absolute(file).string()}});
  while (!loaded_) hear(next_message());
}

Json Chromium::evaluate(const std::string& expression) {
  const Json answer =
      call("Runtime.evaluate", {{"expression", expression}, {"awaitPromise", true}, {"returnByValue", true}});
  if (answer.contains("exceptionDetails")) throw std::runtime_error{"in the page: " + words(answer)};
  return answer.at("result").value("value", Json{});
}

void Chromium::press_enter() {
  for (const char* type : {"keyDown", "keyUp"})
    call("Input.dispatchKeyEvent",
         {{"type", type}, {"key", "Enter"}, {"code", "Enter"}, {"text", "\r"}, {"windowsVirtualKeyCode", 13}});
}

std::string Chromium::print_to_pdf(const Json& options) {
  return base64_decoded(call("Page.printToPDF", options).at("data"));
}

Json Chromium::call(const std::string& method, const Json& parameters, bool of_page) {
  const int id = ++last_id_;
  Json message{{"id", id}, {"method", method}, {"params", parameters}};
  if (of_page) message["sessionId"] = session_;
  pipe_->send(message.dump());
  for (;;) {
    const Json answer = next_message();
    if (answer.value("id", 0) != id) {
      hear(answer);
      continue;
    }
    if (answer.contains("error")) throw std::runtime_error{method + ": " + answer["error"].dump()};
    return answer.at("result");
  }
}

Json Chromium::next_message() {
  return Json::parse(pipe_->receive());
}

void Chromium::hear(const Json& event) {
  const std::string method = event.value("method", "");
  const Json& parameters = event.contains("params") ? event["params"] : event;
  if (method == "Page.loadEventFired") loaded_ = true;
  if (method == "Browser.downloadProgress" && parameters.value("state", "") == "completed") ++downloads_;
  if (method == "Network.requestWillBeSent") requests_.push_back(parameters["request"].value("url", ""));
  if (method == "Runtime.exceptionThrown") problems_.push_back(words(parameters));
  if (method == "Log.entryAdded") problems_.push_back(parameters["entry"].value("text", ""));
  if (method == "Runtime.consoleAPICalled") problems_.push_back("console: " + words(parameters));
}

}  // namespace moesim::testing
