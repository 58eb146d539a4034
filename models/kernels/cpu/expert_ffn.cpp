#include "models/kernels/cpu/expert_ffn.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <oneapi/dnnl/dnnl.hpp>

#include "models/kernels/cpu/buffer.hpp"
#include "models/kernels/cpu/int8_rows.hpp"
#include "models/kernels/cpu/swiglu.hpp"

namespace moesim {
namespace {

using dnnl::memory;

memory::data_type type_of(KernelFormat format) {
  if (format == KernelFormat::int8) return memory::data_type::s8;
  return format == KernelFormat::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

dnnl::engine& engine() {
  static dnnl::engine processors{dnnl::engine::kind::cpu, 0};
  return processors;
}

memory::desc plain(memory::dim rows, memory::dim columns, memory::data_type type) {
  return {{rows, columns}, type, memory::format_tag::ab};
}

/// [m, k] x [k, n] in `type` to floats, or from 8 bits to 32.
dnnl::matmul::primitive_desc product(memory::dim m, memory::dim n, memory::dim k, memory::data_type type,
                                     const memory::desc& weights) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const memory::desc from = plain(m, k, type),
                     to = plain(m, n, type == memory::data_type::s8 ? memory::data_type::s32 : memory::data_type::f32);
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), from, weights, to, attributes};
#else
  return {{from, weights, to}, attributes, engine()};
#endif
}

bool is_reference(const dnnl::matmul::primitive_desc& description) {
  return std::string_view{description.impl_info_str()}.starts_with("ref");
}

/// The layout that the library wants for [k, n] weights, if it is good for one row and for many; else row-major.
memory::desc weights_layout(memory::dim n, memory::dim k, memory::data_type type) {
  const memory::desc fallback = plain(k, n, type);
  try {
    constexpr std::array<memory::dim, 4> kRows{8, 1, 64, 512};
    const memory::desc any{{k, n}, type, memory::format_tag::any};
    const memory::desc wanted = product(kRows[0], n, k, type, any).weights_desc();
    for (const memory::dim rows : kRows)
      if (is_reference(product(rows, n, k, type, wanted))) return fallback;
    return wanted;
  } catch (const dnnl::error&) {
    return fallback;
  }
}

/// A product that is ready to run.
struct Product {
  explicit Product(const dnnl::matmul::primitive_desc& description)
      : weights{description.weights_desc()},
        from{description.src_desc()},
        to{description.dst_desc()},
        scratch{description.scratchpad_desc()},
        run{description} {}

  memory::desc weights, from, to, scratch;
  dnnl::matmul run;
};

struct ProductPair {
  Product first, second;
};

/// The values in the format.
void fill(std::span<const float> values, KernelFormat format, void* to) {
  if (format == KernelFormat::bf16)
    std::transform(values.begin(), values.end(), static_cast<std::uint16_t*>(to), to_bf16);
  else
    std::copy(values.begin(), values.end(), static_cast<float*>(to));
}

}  // namespace

struct ExpertFfn::Parts {
  Parts(int hidden_width, int expert_width, KernelFormat of)
      : hidden{hidden_width},
        intermediate{expert_width},
        format{of},
        gate_up{weights_layout(2L * intermediate, hidden, type_of(format))},
        down{weights_layout(hidden, intermediate, type_of(format))} {}

  int hidden, intermediate;
  KernelFormat format;
  memory::desc gate_up, down;
  dnnl::stream stream{engine()};
  std::map<std::int32_t, ProductPair> products;  ///< by rows
  std::vector<std::int32_t> rows;
  std::vector<float> combine, output;
  Buffer input, between, middle, scratch;
  Buffer codes, sums;  ///< of int8: activations of a product, and what comes out of it
  std::vector<float> row_scales;

  /// Where row `row` of the batch starts, in the format.
  void* input_at(std::size_t row) const {
    const std::size_t at = row * static_cast<std::size_t>(hidden);
    return format == KernelFormat::bf16 ? static_cast<void*>(input.halves() + at) : input.floats() + at;
  }
  std::size_t down_offset() const { return (gate_up.get_size() + 63) / 64 * 64; }
  /// Of int8: the scales of the columns of both products.
  std::size_t scales_offset() const { return down_offset() + (down.get_size() + 63) / 64 * 64; }
  std::span<const float> column_scales(const std::byte* slot) const {
    const auto* scales = reinterpret_cast<const float*>(slot + scales_offset());  // NOLINT: raw storage
    return {scales, static_cast<std::size_t>(2 * intermediate + hidden)};
  }

  void multiply(const Product& product, const void* from, const std::byte* weights, void* to) {
    const auto at = [](const memory::desc& layout, const void* data) {
      return memory{layout, engine(), const_cast<void*>(data)};  // NOLINT: the library reads it
    };
    product.run.execute(stream, {{DNNL_ARG_SRC, at(product.from, from)},
                                 {DNNL_ARG_WEIGHTS, at(product.weights, weights)},
                                 {DNNL_ARG_DST, at(product.to, to)},
                                 {DNNL_ARG_SCRATCHPAD, at(product.scratch, scratch.floats())}});
    stream.wait();
  }

  /// Activations get their eight bits on the way into each product.
  void run_int8_expert(std::size_t first_row, std::int32_t count, const std::byte* slot) {
    const ProductPair& pair = products.at(count);
    const auto many = static_cast<std::size_t>(count), wide = static_cast<std::size_t>(hidden),
               narrow = static_cast<std::size_t>(intermediate);
    const std::span scales{row_scales.data(), many};
    const std::span<const float> columns = column_scales(slot);
    quantise_rows({input.floats() + first_row * wide, many * wide}, {codes.codes(), many * wide}, scales);
    multiply(pair.first, codes.codes(), slot, sums.sums());
    swiglu_of_sums({sums.sums(), 2 * many * narrow}, scales, columns.first(2 * narrow),
                   {combine.data() + first_row, many}, {middle.floats(), many * narrow});
    quantise_rows({middle.floats(), many * narrow}, {codes.codes(), many * narrow}, scales);
    multiply(pair.second, codes.codes(), slot + down_offset(), sums.sums());
    scale_sums({sums.sums(), many * wide}, scales, columns.subspan(2 * narrow),
               {output.data() + first_row * wide, many * wide});
  }

  void run_expert(std::size_t first_row, std::int32_t count, const std::byte* slot) {
    if (format == KernelFormat::int8) return run_int8_expert(first_row, count, slot);
    const ProductPair& pair = products.at(count);
    const auto size = static_cast<std::size_t>(count) * static_cast<std::size_t>(intermediate);
    const std::span weights{combine.data() + first_row, static_cast<std::size_t>(count)};
    multiply(pair.first, input_at(first_row), slot, between.floats());
    if (format == KernelFormat::bf16)
      swiglu({between.floats(), 2 * size}, weights, std::span{middle.halves(), size});
    else
      swiglu({between.floats(), 2 * size}, weights, std::span{middle.floats(), size});
    multiply(pair.second, middle.floats(), slot + down_offset(),
             output.data() + first_row * static_cast<std::size_t>(hidden));
  }

  void make_products(std::int32_t count) {
    if (count == 0 || products.contains(count)) return;
    const memory::data_type type = type_of(format);
    const auto made =
        products.emplace(count, ProductPair{Product{product(count, 2L * intermediate, hidden, type, gate_up)},
                                            Product{product(count, hidden, intermediate, type, down)}});
    const ProductPair& pair = made.first->second;
    scratch.resize(std::max(pair.first.scratch.get_size(), pair.second.scratch.get_size()) / sizeof(float) + 1,
                   KernelFormat::f32);
  }
};

bool ExpertFfn::runs(KernelFormat format) {
  if (format > KernelFormat::int8) return false;  // f32, bf16, int8
  try {
    constexpr memory::dim kSmall = 64;
    const memory::data_type type = type_of(format);
    return !is_reference(product(kSmall, kSmall, kSmall, type, plain(kSmall, kSmall, type)));
  } catch (const dnnl::error&) {
    return false;
  }
}

std::string ExpertFfn::onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

ExpertFfn::ExpertFfn(int hidden, int intermediate, KernelFormat format)
    : parts_{std::make_unique<Parts>(hidden, intermediate, format)} {}

ExpertFfn::~ExpertFfn() = default;

Bytes ExpertFfn::stored_size() const {
  const std::size_t plain_size = parts_->down_offset() + parts_->down.get_size();
  if (parts_->format != KernelFormat::int8) return Bytes{static_cast<double>(plain_size)};
  const auto columns = static_cast<std::size_t>(2 * parts_->intermediate + parts_->hidden);
  return Bytes{static_cast<double>(parts_->scales_offset() + columns * sizeof(float))};
}

void ExpertFfn::store(std::span<const float> gate_up, std::span<const float> down, std::byte* slot) {
  auto* scales = const_cast<float*>(parts_->column_scales(slot).data());  // NOLINT: of int8; the slot is ours to fill
  const auto put = [&](std::span<const float> values, memory::dim k, memory::dim n, const memory::desc& layout,
                       std::byte* to) {
    memory source{plain(k, n, type_of(parts_->format)), engine()};
    if (parts_->format == KernelFormat::int8) {
      const auto columns = static_cast<std::size_t>(n);
      quantise_columns(values, {static_cast<std::int8_t*>(source.get_data_handle()), values.size()}, {scales, columns});
      scales += columns;
    } else {
      fill(values, parts_->format, source.get_data_handle());
    }
    memory target{layout, engine(), to};
    dnnl::reorder{source, target}.execute(parts_->stream, source, target);
    parts_->stream.wait();
  };
  put(gate_up, parts_->hidden, 2L * parts_->intermediate, parts_->gate_up, slot);
  put(down, parts_->intermediate, parts_->hidden, parts_->down, slot + parts_->down_offset());
}

void ExpertFfn::load(std::span<const std::int32_t> rows_per_expert, std::span<const float> x,
                     std::span<const float> combine) {
  Parts& parts = *parts_;
  parts.rows.assign(rows_per_expert.begin(), rows_per_expert.end());
  parts.combine.assign(combine.begin(), combine.end());
  parts.output.assign(x.size(), 0);
  parts.input.resize(x.size(), parts.format);
  fill(x, parts.format, parts.input.floats());
  const std::size_t most = static_cast<std::size_t>(std::ranges::max(parts.rows));
  parts.between.resize(2 * most * static_cast<std::size_t>(parts.intermediate), KernelFormat::f32);
  parts.middle.resize(most * static_cast<std::size_t>(parts.intermediate), parts.format);
  if (parts.format == KernelFormat::int8) {
    const std::size_t widest = static_cast<std::size_t>(std::max(2 * parts.intermediate, parts.hidden));
    parts.codes.resize(most * widest, KernelFormat::int8);
    parts.sums.resize(most * widest, KernelFormat::f32);
    parts.row_scales.resize(most);
  }
  constexpr std::size_t kKept = 512;  // of generated code; histograms of large runs have ever new counts
  if (parts.products.size() > kKept) parts.products.clear();
  for (const std::int32_t count : parts.rows) parts.make_products(count);
}

void ExpertFfn::run(std::span<const std::byte* const> slots) {
  std::size_t row = 0;
  for (std::size_t expert = 0; expert < parts_->rows.size(); ++expert) {
    const std::int32_t count = parts_->rows[expert];
    if (count > 0) parts_->run_expert(row, count, slots[expert]);
    row += static_cast<std::size_t>(count);
  }
}

std::span<const float> ExpertFfn::output() const {
  return parts_->output;
}

std::vector<Seconds> time_square_product(int size, KernelFormat format, int calls) {
  const Product square{product(size, size, size, type_of(format), weights_layout(size, size, type_of(format)))};
  constexpr std::uint16_t kSmallNumber = 0x3C00;
  memory from{square.from, engine()}, weights{square.weights, engine()}, to{square.to, engine()},
      scratch{square.scratch, engine()};
  for (const memory& operand : {from, weights})  // 2^-7 in f32 and in bf16: zeros might be multiplied faster
    std::fill_n(static_cast<std::uint16_t*>(operand.get_data_handle()), operand.get_desc().get_size() / 2,
                kSmallNumber);
  dnnl::stream stream{engine()};
  std::vector<Seconds> times;
  for (int call = 0; call <= calls; ++call) {
    const auto start = std::chrono::steady_clock::now();
    square.run.execute(
        stream,
        {{DNNL_ARG_SRC, from}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, to}, {DNNL_ARG_SCRATCHPAD, scratch}});
    stream.wait();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (call > 0) times.emplace_back(took.count());
  }
  return times;
}

}  // namespace moesim
