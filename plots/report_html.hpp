#pragma once
// The report as one HTML file that needs nothing beside it.

#include <string>
#include <string_view>

namespace moesim {

/// The page that draws the document (plots/README.md) with the scripts and styles inside it. Its content security
/// policy allows these scripts alone, and no network. The document must be JSON; title is plain text.
std::string report_html(std::string_view document_json, std::string_view title);

}  // namespace moesim
