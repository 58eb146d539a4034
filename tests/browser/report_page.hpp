#pragma once
// A report in the browser, and what must hold for it at every width and on paper.

#include <string>

#include <nlohmann/json.hpp>

#include "tests/browser/chromium.hpp"

namespace moesim::testing {

/// The browser of this test. Null, with a loud line on stderr, where there is none.
Chromium* browser_or_skip();

/// Opens a file and makes `checks` (checks.js) known to it.
void open_report(Chromium& browser, const std::string& file);

/// No problem in the console, no request but the file itself and data, nothing wider than the window, all charts drawn.
void check_sound(Chromium& browser, const std::string& file);

/// check_sound on a dark phone and at a desk, and on A4 and A3 paper.
void check_everywhere(Chromium& browser, const std::string& file);

}  // namespace moesim::testing
