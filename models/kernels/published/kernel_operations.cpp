#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/kernels/published/kernel_model.hpp"
#include "models/units/error.hpp"

namespace moesim {

const OperationLayout& layout_of(KernelOperation operation) {
  static const std::array<OperationLayout, kKernelOperations> layouts{{
      {"experts", {"hidden", "expert_hidden", "experts", "top_k"}, {"slots"}, "rows"},
      {"expert_gemms", {"hidden", "expert_hidden", "experts", "top_k"}, {"slots"}, "rows"},
      {"gemm", {}, {"n", "k"}, "m"},
      {"prefill_attention", {"head_dim"}, {"heads_per_kv_head", "tokens"}, "sequences_x_heads"},
      {"decode_attention", {"head_dim"}, {"heads_per_kv_head", "keys"}, "sequences_x_kv_heads"},
      {"prefill_mla", {}, {"heads", "tokens"}, "sequences"},
      {"decode_mla", {}, {"heads", "keys"}, "sequences"},
      {"mla_in", {}, {"heads"}, "tokens"},
      {"mla_out", {}, {"heads"}, "tokens"},
      {"all_reduce", {"ranks"}, {}, "bytes"},
      {"all_gather", {"ranks"}, {}, "bytes"},
      {"reduce_scatter", {"ranks"}, {}, "bytes"},
      {"all_to_all", {"ranks"}, {}, "bytes"},
      {"dispatch_low_latency", {"ranks", "hidden", "experts", "top_k"}, {}, "tokens"},
      {"combine_low_latency", {"ranks", "hidden", "experts", "top_k"}, {}, "tokens"},
      {"dispatch_normal", {"ranks", "hidden", "experts", "top_k"}, {"sms"}, "tokens"},
      {"combine_normal", {"ranks", "hidden", "experts", "top_k"}, {"sms"}, "tokens"},
  }};
  return layouts[static_cast<std::size_t>(operation)];
}

std::string_view name_of(KernelOperation operation) {
  return layout_of(operation).name;
}

bool is_experts(KernelOperation operation) {
  return operation == KernelOperation::experts || operation == KernelOperation::expert_gemms;
}

bool is_collective(KernelOperation operation) {
  return operation >= KernelOperation::all_reduce;
}

KernelOperation parse_operation(std::string_view name, const std::string& where, const std::string& expected) {
  std::vector<std::string> names;
  for (int i = 0; i < kKernelOperations; ++i) {
    names.emplace_back(name_of(static_cast<KernelOperation>(i)));
    if (names.back() == name) return static_cast<KernelOperation>(i);
  }
  throw InputError{where, std::string{name},
                   expected.empty() ? fmt::format("one of {}", fmt::join(names, ", ")) : expected,
                   nearest(std::string{name}, names)};
}

const EngineModel& find_engine(const KernelModel& model, const std::string& name, const std::string& where) {
  std::vector<std::string> names;
  for (const EngineModel& engine : model.engines) {
    if (engine.name == name || name == "auto") return engine;
    names.push_back(engine.name);
  }
  throw InputError{where, name, fmt::format("an engine of profile {}: {}", model.name, fmt::join(names, ", ")),
                   nearest(name, names)};
}

EngineModel with_stand_ins(const KernelModel& model, const EngineModel& engine) {
  EngineModel made = engine;
  for (const auto& [operation, lender] : engine.stand_ins) {
    const auto of_operation = [of = operation](const auto& part) { return part.operation == of; };
    const EngineModel& from = find_engine(model, lender, "stand_ins");
    std::erase_if(made.tables, [&](const KernelTable& own) {
      return of_operation(own) && std::any_of(from.tables.begin(), from.tables.end(), [&](const KernelTable& other) {
               return of_operation(other) && other.format == own.format && other.dimensions == own.dimensions;
             });
    });
    std::erase_if(made.errors, of_operation);
    std::copy_if(from.errors.begin(), from.errors.end(), std::back_inserter(made.errors), of_operation);
    for (const KernelTable& table : from.tables) {
      if (!of_operation(table)) continue;
      made.tables.push_back(table);
      made.tables.back().lender = lender;
    }
  }
  return made;
}

}  // namespace moesim
