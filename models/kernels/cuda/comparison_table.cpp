#include "models/kernels/cuda/comparison_table.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <istream>
#include <map>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <vector>

#include <nlohmann/json.hpp>

namespace moesim::cuda {
namespace {

using nlohmann::json;

constexpr std::array kLibraries{"cublaslt_loop", "cublas_loop", "cublas_grouped"};

struct Timing {
  std::string kernel;
  double microseconds = 0, weight_bytes = 0, flops = 0;
};

/// One GEMM of one model on one histogram.
struct Row {
  std::map<std::string, Timing> own;  ///< fastest of each weight format
  std::map<std::string, double> library;
};
using RowKey = std::tuple<bool, int, std::string, int>;  ///< skewed, rows, model, gemm

struct Measured {
  std::string gpu;
  double copy_rate = 0, product_rate = 0;
  std::vector<std::pair<std::string, double>> products;
  std::map<RowKey, Row> rows;
};

std::string text(const char* format, double value) {
  std::array<char, 64> out{};
  std::snprintf(out.data(), out.size(), format, value);
  return out.data();
}

void add(const json& line, Measured& measured) {
  if (line.contains("verified")) return;
  if (line.contains("gpu")) {
    measured.gpu = line.at("gpu");
    measured.copy_rate = line.at("copy_bytes_per_s");
    for (const json& product : line.at("products")) {
      measured.products.emplace_back(product.at("kernel"), product.at("flop_per_s"));
      measured.product_rate = std::max(measured.product_rate, measured.products.back().second);
    }
    return;
  }
  Row& row = measured.rows[{line.at("skewed"), line.at("rows_per_expert"), line.at("model"), line.at("gemm")}];
  const std::string kernel = line.at("kernel");
  const double microseconds = line.at("median_us");
  if (std::find(kLibraries.begin(), kLibraries.end(), kernel) != kLibraries.end()) {
    row.library[kernel] = microseconds;
    return;
  }
  Timing& own = row.own[line.at("format")];
  if (own.kernel.empty() || microseconds < own.microseconds)
    own = {kernel, microseconds, line.at("weight_bytes"), line.at("flop")};
}

Measured read(std::istream& lines) {
  Measured measured;
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) try {
      add(json::parse(line), measured);
    } catch (const json::exception& error) {
      if (lines.peek() == std::istream::traits_type::eof()) break;  // cut off while it was written
      throw std::runtime_error{"line " + std::to_string(number) + ": " + error.what()};
    }
  if (measured.copy_rate <= 0 || measured.product_rate <= 0)
    throw std::runtime_error{"no line with the device's ceilings"};
  return measured;
}

double of_copy(const Measured& measured, const Timing& own) {
  return own.weight_bytes / (1e-6 * own.microseconds) / measured.copy_rate;
}
double of_product(const Measured& measured, const Timing& own) {
  return own.flops / (1e-6 * own.microseconds) / measured.product_rate;
}

std::string line_of(const Measured& measured, const RowKey& key, const Row& row, const std::string& format,
                    const Timing& own) {
  const auto& [skewed, rows, model, gemm] = key;
  std::string line = "| " + model + " | " + std::to_string(gemm) + " | " + std::to_string(rows) +
                     (skewed ? ", skewed" : "") + " | " + format + " | " + own.kernel + " | " +
                     text("%.1f", own.microseconds) + " | " + text("%.2f", of_copy(measured, own)) + " | " +
                     text("%.2f", of_product(measured, own)) + " |";
  for (const char* library : kLibraries) {
    const auto found = row.library.find(library);
    line += found == row.library.end() ? " - |" : " " + text("%.2f", own.microseconds / found->second) + " |";
  }
  return line + "\n";
}

/// The targets of the project that these measurements can judge: a share, over which rows, and how much it must be.
struct Target {
  const char* what;
  bool at_least;
  double limit;
  std::optional<double> (*figure)(const Measured&, const RowKey&, const Row&);
};

const Timing* in_format(const Row& row, const char* format) {
  const auto found = row.own.find(format);
  return found == row.own.end() ? nullptr : &found->second;
}

std::optional<double> decode(const Measured& measured, const RowKey& key, const Row& row, const char* format) {
  constexpr int kMostRows = 16;
  constexpr double kLeastBytes = 1e8;
  const Timing* own = in_format(row, format);
  if (own == nullptr || std::get<1>(key) > kMostRows || own->weight_bytes < kLeastBytes) return std::nullopt;
  return of_copy(measured, *own);
}

constexpr std::array kTargets{
    Target{"bf16 decode (up to 16 rows, 100 MB of weights) of the copy rate", true, 0.80,
           [](const Measured& m, const RowKey& key, const Row& row) { return decode(m, key, row, "bf16"); }},
    Target{"fp8 decode of the copy rate", true, 0.75,
           [](const Measured& m, const RowKey& key, const Row& row) { return decode(m, key, row, "fp8"); }},
    Target{"int4 decode of the copy rate", true, 0.60,
           [](const Measured& m, const RowKey& key, const Row& row) { return decode(m, key, row, "int4"); }},
    Target{"bf16 with 1,024 rows and more of the 8192^3 product", true, 0.50,
           [](const Measured& m, const RowKey& key, const Row& row) -> std::optional<double> {
             constexpr int kLeastRows = 1024;
             const Timing* own = in_format(row, "bf16");
             if (own == nullptr || std::get<1>(key) < kLeastRows || std::get<2>(key) == "gpt-oss-120b")
               return std::nullopt;
             return of_product(m, *own);
           }},
    Target{"bf16 time over cuBLAS grouped on skewed input", false, 1.0,
           [](const Measured&, const RowKey& key, const Row& row) -> std::optional<double> {
             const Timing* own = in_format(row, "bf16");
             const auto grouped = row.library.find("cublas_grouped");
             if (own == nullptr || grouped == row.library.end() || !std::get<0>(key)) return std::nullopt;
             return own->microseconds / grouped->second;
           }}};

std::string judged(const Measured& measured, const Target& target) {
  std::vector<double> figures;
  for (const auto& [key, row] : measured.rows)
    if (const auto figure = target.figure(measured, key, row)) figures.push_back(*figure);
  const std::string line =
      std::string{"| "} + target.what + " | " + (target.at_least ? ">= " : "<= ") + text("%.2f", target.limit) + " | ";
  if (figures.empty()) return line + "not measured | | |\n";
  std::sort(figures.begin(), figures.end());
  const double median = figures[figures.size() / 2], worst = target.at_least ? figures.front() : figures.back();
  const bool met = target.at_least ? median >= target.limit : median <= target.limit;
  return line + text("%.2f", median) + " | " + text("%.2f", worst) + " | " + (met ? "yes" : "no") + " |\n";
}

}  // namespace

std::string comparison_table(std::istream& lines) {
  const Measured measured = read(lines);
  std::string table = "Measured on " + measured.gpu + ": copy " + text("%.2f", measured.copy_rate * 1e-12) +
                      " TB/s read and written; one large bf16 product";
  for (const auto& [kernel, rate] : measured.products)
    table += ", " + kernel + " " + text("%.0f", rate * 1e-12) + " TFLOP/s";
  table += ".\n\n| target | | median | worst | met |\n|---|---|---|---|---|\n";
  for (const Target& target : kTargets) table += judged(measured, target);
  table +=
      "\nOur fastest kernel of each GEMM, 8 experts; of the copy rate: weights alone; the libraries leave out SwiGLU "
      "and "
      "combine weights, below 1 ours is faster.\n\n| model | GEMM | rows per expert | weights | kernel | us | of copy "
      "| "
      "of product | / cublasLt loop | / cuBLAS loop | / cuBLAS grouped "
      "|\n|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const auto& [key, row] : measured.rows)
    for (const auto& [format, own] : row.own) table += line_of(measured, key, row, format, own);
  return table;
}

}  // namespace moesim::cuda
