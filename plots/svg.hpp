#pragma once
// The few SVG shapes that drawings here are made of.

#include <string>
#include <string_view>

namespace moesim {

struct Box {
  double x = 0, y = 0, width = 0, height = 0;
  double centre() const { return x + width / 2; }
  double middle() const { return y + height / 2; }
  double right() const { return x + width; }
  double bottom() const { return y + height; }
};

struct TextStyle {
  double size = 13;
  std::string colour;
  std::string_view anchor = "middle";  ///< start, middle, end
  bool bold = false;
};

/// Text made safe inside XML: & < > and quotes.
std::string escaped(std::string_view text);

/// What stands in a text that Svg::document does not write (a script, an event handler, an outside address, a part of a
/// drawing), for messages; empty: nothing, so that it is safe to open.
std::string foreign_to_drawing(std::string_view svg);

/// Collects shapes in painting order.
class Svg {
public:
  void rect(const Box& box, const std::string& fill, const std::string& stroke = "none", double radius = 3);
  void line(double x1, double y1, double x2, double y2, const std::string& colour, double width, double opacity = 1);
  /// A cable that leaves (x1, y1) and enters (x2, y2) vertically.
  void curve(double x1, double y1, double x2, double y2, const std::string& colour, double width, double opacity = 1);
  /// A cable that hangs `depth` below the line between its ends.
  void arc(double x1, double y1, double x2, double y2, double depth, const std::string& colour, double width,
           double opacity = 1);
  void text(double x, double y, std::string_view text, const TextStyle& style);
  /// Text in the middle of a box.
  void label(const Box& box, std::string_view text, const TextStyle& style) {
    this->text(box.centre(), box.middle() + style.size * 0.35, text, style);
  }
  /// The whole document. `description` is for readers who hear the picture.
  std::string document(double width, double height, std::string_view title, std::string_view description) const;

private:
  std::string body_;
};

}  // namespace moesim
