#pragma once
// Measured routing as files, without a model: loads, recorded tokens, pairs of layers.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace moesim {

using ColumnValues = std::vector<std::pair<std::string, std::string>>;

enum class RouteFile {
  loads,   ///< layer, expert, count, and others
  tokens,  ///< ..., layer, e0, e1, ...
  pairs,   ///< layer_pair, expert_i, expert_j, count, and others
};
/// By the names in the header. Throws InputError for a file that is none of these.
RouteFile kind_of_route_file(const std::string& file);

struct MeasuredLoads {
  std::vector<int> layer_ids;  ///< as in the file, rising
  int experts = 0;
  std::vector<double> counts;            ///< [layers * experts]
  std::vector<std::string> summed_over;  ///< columns with several values, whose rows were added up
  std::span<const double> layer(std::size_t l) const {
    return {counts.data() + l * static_cast<std::size_t>(experts), static_cast<std::size_t>(experts)};
  }
};
/// Rows that pass `where` are added up. Columns `model` and `kind` with several values left are refused: adding those
/// up means nothing. Throws InputError with the place of what is wrong.
MeasuredLoads read_measured_loads(const std::string& file, const ColumnValues& where);

/// Counts of (expert of one layer, expert of a later one).
struct LayerPair {
  std::string layers;  ///< as in the file
  int from_experts = 0, to_experts = 0;
  std::vector<double> counts;  ///< [from_experts * to_experts]
};
std::vector<LayerPair> read_layer_pairs(const std::string& file, const ColumnValues& where);

/// What two layers know of each other: mutual information over the entropy of the second, and the chance by which the
/// likeliest partner beats the best guess without knowing, both 0 when independent.
struct PairFit {
  double mutual_information_share = 0;
  double affinity = 0;      ///< (sum_i max_j p_ij - max_j p_j) / (1 - max_j p_j)
  double largest_lift = 1;  ///< of pairs that are at least 1e-4 of all: p_ij / (p_i p_j)
};
PairFit fit_pair(const LayerPair& pair);

/// Recorded tokens, request after request.
struct TokenTrace {
  std::vector<int> layer_ids;
  int experts = 0, top_k = 0;
  std::vector<std::size_t> first_token;  ///< [requests + 1]
  std::vector<std::int16_t> chosen;      ///< [tokens][layers][top_k]
  std::size_t layers() const { return layer_ids.size(); }
  std::size_t tokens() const { return first_token.back(); }
  std::size_t requests() const { return first_token.size() - 1; }
  std::span<const std::int16_t> token(std::size_t t, std::size_t layer) const {
    const auto k = static_cast<std::size_t>(top_k);
    return {chosen.data() + (t * layers() + layer) * k, k};
  }
};
/// Rows of one token stand together; the columns before `pos` name the request, those before `layer` the token (without
/// `pos` all tokens are one request). Every token has the layers of the first. experts: 0: the largest id + 1.
/// Throws InputError with the place: an expert out of range or twice in a token, a missing or repeated layer, a width
/// that changes.
TokenTrace read_token_trace(const std::string& file, int experts = 0);

}  // namespace moesim
