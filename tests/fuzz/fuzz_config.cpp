// Any text is either a model's config.json or an InputError. What loads can be counted, stored and, without an encoder,
// turned into operations.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "models/llm/ops.hpp"
#include "models/llm/parameters.hpp"
#include "models/units/error.hpp"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void count(const moesim::Architecture& model) {
  const moesim::ParameterCounts counts = moesim::count_parameters(model);
  require(counts.total > 0 && counts.active > 0 && counts.active <= counts.total && counts.mtp >= 0);
  for (const moesim::TensorClass tensor : moesim::kTensorClasses) require(counts[tensor] >= 0);
  require(moesim::total_weight_bytes(model, moesim::checkpoint_precision(model)) > moesim::Bytes{});
  const moesim::Bytes one = moesim::kv_bytes_of_sequence(model, moesim::NumberFormat::bf16, 1);
  require(one > moesim::Bytes{});
  require(moesim::kv_bytes_of_sequence(model, moesim::NumberFormat::bf16, model.max_context) >= one);
}

void run(const moesim::Architecture& model) {
  const moesim::RankBatch batch{moesim::Phase::decode, 2, 1, 1000};
  for (const moesim::Reach reach : {moesim::Reach::full, moesim::Reach::windowed})
    if (model.layers_of(reach) > 0)
      for (const moesim::Op& op : moesim::attention_ops(model, {}, batch, 1, reach))
        require(op.flops.value() >= 0 && op.bytes > moesim::Bytes{});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text{reinterpret_cast<const char*>(data), size};
  try {
    const moesim::Architecture model = moesim::parse_architecture(text, "fuzz.json");
    count(model);
    if (!model.encoder) run(model);
  } catch (const moesim::InputError&) {
  }
  return 0;
}
