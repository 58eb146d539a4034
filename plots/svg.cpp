#include "plots/svg.hpp"

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
