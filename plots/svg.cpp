#include "plots/svg.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace moesim {

std::string escaped(std::string_view text) {
  std::string safe;
  for (char c : text) switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  return safe;
}

namespace {

constexpr std::string_view kElements[] = {"svg", "title", "desc", "rect", "line", "path", "text"};
constexpr std::string_view kAttributes[] = {"xmlns",      "viewBox",     "width",     "height",      "role",
                                            "x",          "y",           "rx",        "fill",        "stroke",
                                            "x1",         "y1",          "x2",        "y2",          "stroke-width",
                                            "d",          "font-family", "font-size", "font-weight", "stroke-opacity",
                                            "text-anchor"};

template <std::size_t N>
bool is_one_of(std::string_view name, const std::string_view (&known)[N]) {
  return std::find(std::begin(known), std::end(known), name) != std::end(known);
}

constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:";

std::string_view take_name(std::string_view& text) {
  const std::string_view name = text.substr(0, std::min(text.find_first_not_of(kLetters), text.size()));
  text.remove_prefix(name.size());
  return name;
}

std::string foreign_attribute(std::string_view rest) {
  while (!rest.empty() && rest != "/") {
    if (rest.front() != ' ') return "what is no attribute";
    rest.remove_prefix(1);
    const std::string_view name = take_name(rest);
    if (!is_one_of(name, kAttributes)) return fmt::format("the attribute '{}'", name);
    const std::size_t end = rest.starts_with("=\"") ? rest.find('"', 2) : std::string_view::npos;
    if (end == std::string_view::npos) return fmt::format("no value of the attribute '{}'", name);
    if (rest.substr(0, end).find("url(") != std::string_view::npos) return "an address";
    rest.remove_prefix(end + 1);
  }
  return "";
}

}  // namespace

std::string foreign_to_drawing(std::string_view svg) {
  if (!svg.starts_with("<svg ") || !svg.ends_with("</svg>\n")) return "a part of a drawing, or none";
  while (true) {
    const std::size_t open = svg.find('<');
    if (open == std::string_view::npos) return "";
    const std::size_t close = svg.find('>', open);
    if (close == std::string_view::npos) return "a part of a drawing";
    std::string_view tag = svg.substr(open + 1, close - open - 1);
    svg.remove_prefix(close + 1);
    if (tag.starts_with('/')) tag.remove_prefix(1);
    const std::string_view name = take_name(tag);
    if (!is_one_of(name, kElements)) return fmt::format("the element '{}'", name);
    if (const std::string found = foreign_attribute(tag); !found.empty()) return found;
  }
}

void Svg::rect(const Box& box, const std::string& fill, const std::string& stroke, double radius) {
  fmt::format_to(std::back_inserter(body_),
                 "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"{:.0f}\" fill=\"{}\" "
                 "stroke=\"{}\"/>\n",
                 box.x, box.y, box.width, box.height, radius, fill, stroke);
}

void Svg::line(double x1, double y1, double x2, double y2, const std::string& colour, double width, double opacity) {
  fmt::format_to(std::back_inserter(body_),
                 "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{:.1f}\" "
                 "stroke-opacity=\"{:.2f}\"/>\n",
                 x1, y1, x2, y2, colour, width, opacity);
}

void Svg::curve(double x1, double y1, double x2, double y2, const std::string& colour, double width, double opacity) {
  const double bend = (y1 + y2) / 2;
  fmt::format_to(std::back_inserter(body_),
                 "<path d=\"M{:.1f} {:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}\" fill=\"none\" stroke=\"{}\" "
                 "stroke-width=\"{:.1f}\" stroke-opacity=\"{:.2f}\"/>\n",
                 x1, y1, x1, bend, x2, bend, x2, y2, colour, width, opacity);
}

void Svg::arc(double x1, double y1, double x2, double y2, double depth, const std::string& colour, double width,
              double opacity) {
  fmt::format_to(std::back_inserter(body_),
                 "<path d=\"M{:.1f} {:.1f}Q{:.1f} {:.1f} {:.1f} {:.1f}\" fill=\"none\" stroke=\"{}\" "
                 "stroke-width=\"{:.1f}\" stroke-opacity=\"{:.2f}\"/>\n",
                 x1, y1, (x1 + x2) / 2, (y1 + y2) / 2 + 2 * depth, x2, y2, colour, width, opacity);
}

void Svg::text(double x, double y, std::string_view text, const TextStyle& style) {
  fmt::format_to(std::back_inserter(body_),
                 "<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{:.0f}\" fill=\"{}\" text-anchor=\"{}\"{}>{}</text>\n", x,
                 y, style.size, style.colour, style.anchor, style.bold ? " font-weight=\"600\"" : "", escaped(text));
}

std::string Svg::document(double width, double height, std::string_view title, std::string_view description) const {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "role=\"img\" font-family=\"Helvetica, Arial, 'Liberation Sans', sans-serif\">\n"
      "<title>{2}</title>\n<desc>{3}</desc>\n{4}</svg>\n",
      width, height, escaped(title), escaped(description), body_);
}

}  // namespace moesim
