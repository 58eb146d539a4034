#pragma once
// A figure that somebody measured, and the question whose answer predicts it.

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "models/llm/number_format.hpp"
#include "models/units/quantity.hpp"
#include "sim/validate/replica.hpp"

namespace moesim {

/// Mean steps of scenarios, weighted and added.
struct WeightedSteps {
  struct Part {
    std::string scenario;  ///< YAML
    double weight = 1;
  };
  std::string gpu, engine;  ///< whose kernels they are to have
  std::vector<Part> parts{};
};

enum class ExchangeKernel { low_latency, normal, one_sided };
enum class Direction { dispatch, combine };

/// Dispatch or combine of uniformly routed tokens, every rank sending as many.
struct RowExchange {
  std::string gpu{};
  int ranks = 0;
  int gpus_per_node = 8;  ///< 1: no NVLink, all over NICs
  ExchangeKernel kernel = ExchangeKernel::low_latency;
  Direction direction = Direction::dispatch;
  double tokens = 0;  ///< of each rank
  int hidden = 0, experts = 0, top_k = 0;
  NumberFormat payload = NumberFormat::bf16;
};

enum class VendorOperation { all_reduce, all_gather, reduce_scatter, all_to_all };

/// A collective of NCCL or RCCL over the first ranks of as many nodes as they need.
struct VendorCollective {
  std::string gpu{};
  VendorOperation operation = VendorOperation::all_reduce;
  int ranks = 0;
  Bytes message{};
};

/// groups products [m, k] x [k, n], run as one kernel.
struct MatrixProduct {
  std::string gpu{};
  double m = 0, n = 0, k = 0;  ///< of each group
  double groups = 1;
  NumberFormat format = NumberFormat::bf16;
};

/// The routed experts of a layer on one GPU with their local permutation, uniformly routed.
struct RowExperts {
  std::string gpu{};
  int hidden = 0, expert_hidden = 0, experts = 0, top_k = 0;
  int tokens = 0;
  NumberFormat format = NumberFormat::bf16;
};

using Question = std::variant<WeightedSteps, RowExchange, VendorCollective, MatrixProduct, RowExperts>;

/// How a time becomes the figure that was measured: factor x seconds, or factor / seconds for a rate.
struct Reading {
  double factor = 1;
  bool is_rate = false;

  double operator()(Seconds time) const { return is_rate ? factor / time.value() : factor * time.value(); }
};

/// One measured figure of one row. A row may have several.
struct MeasuredCase {
  std::string file;  ///< its name alone
  int line = 0;
  std::string group;  ///< "deepseek-v3, h200-sxm, sglang, tp8"
  std::string what;   ///< "1024/1024, 16 at once": what tells rows of a group apart
  std::string flags;  ///< what the file itself doubts about the row; empty: clean
  std::string quantity, unit;
  std::optional<double> measured{};  ///< none only where nothing is expressed
  Reading reading{};
  std::optional<Question> question{};  ///< none: not expressed
  std::string reason{};                ///< why not
};

}  // namespace moesim
