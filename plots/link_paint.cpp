#include "plots/link_paint.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "plots/palette.hpp"

namespace moesim {
namespace {

struct Rgb {
  double red, green, blue;
};

/// From idle to busiest: a grey that shows on light and dark ground, Okabe and Ito's yellow-orange and vermillion.
/// Their lightness falls along the scale, so that it reads without colours too.
constexpr std::array<Rgb, 3> kScale{{{184, 192, 204}, {230, 159, 0}, {178, 58, 0}}};

}  // namespace

LinkPaint::LinkPaint(const Topology& topology, const LinkShading* shading)
    : shading_{shading}, at_vertex_(topology.vertices().size()) {
  if (shading_ == nullptr) return;
  const auto links = topology.links();
  for (std::size_t l = 0; l < links.size(); ++l) {
    const double share = shading_->share[l];
    largest_ = std::max(largest_, share);
    double& both_ways = between_[std::minmax(links[l].from, links[l].to)];
    both_ways = std::max(both_ways, share);
    for (const int end : {links[l].from, links[l].to}) {
      double& at = at_vertex_[static_cast<std::size_t>(end)];
      at = std::max(at, share);
    }
  }
}

double LinkPaint::share(int a, int b) const {
  const auto found = between_.find(std::minmax(a, b));
  return found == between_.end() ? 0 : found->second;
}

std::string LinkPaint::colour(int a, int b, const std::string& otherwise) const {
  return is_on() ? colour(share(a, b)) : otherwise;
}

std::string LinkPaint::colour_at(int vertex, const std::string& otherwise) const {
  return is_on() ? colour(at_vertex_[static_cast<std::size_t>(vertex)]) : otherwise;
}

double LinkPaint::width(int a, int b, double otherwise) const {
  if (!is_on()) return otherwise;
  return 1.2 + (largest_ > 0 ? 3.3 * share(a, b) / largest_ : 0);
}

std::string LinkPaint::colour(double share) const {
  const double at = largest_ > 0 ? share / largest_ * (kScale.size() - 1) : 0;
  const auto low = std::min(static_cast<std::size_t>(at), kScale.size() - 2);
  const double part = at - static_cast<double>(low);
  const Rgb &from = kScale.at(low), &to = kScale.at(low + 1);
  const auto mixed = [&](double a, double b) { return static_cast<int>(std::lround(a + part * (b - a))); };
  return fmt::format("#{:02X}{:02X}{:02X}", mixed(from.red, to.red), mixed(from.green, to.green),
                     mixed(from.blue, to.blue));
}

void LinkPaint::paint_legend(Svg& svg, double right, double top) const {
  if (!is_on()) return;
  constexpr int kSteps = 24;
  constexpr double kStep = 6, kHeight = 10;
  const double left = right - kSteps * kStep;
  for (int i = 0; i < kSteps; ++i)
    svg.rect({left + i * kStep, top, kStep + 0.3, kHeight}, colour(largest_ * i / (kSteps - 1)), "none", 0);
  const TextStyle style{.size = 12, .colour = kInkGrey, .anchor = "end"};
  svg.text(right, top - 6, shading_->meaning, style);
  svg.text(right, top + kHeight + 14, fmt::format("{:.3g} %", 100 * largest_), style);
  svg.text(left, top + kHeight + 14, "0", {.size = 12, .colour = kInkGrey, .anchor = "start"});
}

}  // namespace moesim
