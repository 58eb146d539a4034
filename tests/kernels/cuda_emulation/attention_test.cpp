// Decode attention, the kernel source itself, against fp64: ragged contexts, all shapes, splits of several lengths.

#include "models/kernels/cuda/attention_case.hpp"
#include "models/kernels/cuda/combine_splits.cuh"
#include "models/kernels/cuda/decode_attention.cuh"
#include "tests/catch_compat.hpp"
#include "tests/kernels/cuda_emulation/ffn_testing.hpp"

using namespace moesim;
using namespace moesim::cuda;
using namespace moesim::cuda::testing;

namespace {

struct Heads {
  int query, kv, block;
};

/// An AttentionCase and its way through the kernels.
template <class Shape>
class Batch {
public:
  Batch(std::vector<int> lengths, Heads heads, std::uint64_t seed)
      : random_{seed, Purpose::test, 1, 0},
        heads_{heads},
        case_{{Shape::kKeyDims, Shape::kValueDims, Shape::kLatent, heads.query, heads.kv}, std::move(lengths), [this] {
                return random_.uniform();
              }} {}

  template <Fault kFault = Fault::none>
  std::vector<Bf16> run(int split_tokens) {
    Buffer<Bf16> q{case_.q()}, keys{case_.keys()}, values{case_.values()}, out{q.size() / Shape::kKeyDims * kDims};
    Buffer<int> pages{case_.pages()};
    BuiltMap splits{case_.lengths(), split_tokens, 0};
    const std::size_t heads = splits.tile_expert.size() * static_cast<std::size_t>(heads_.query);
    Buffer<float> partial{heads * kDims}, weight{heads};
    const DecodeAttention attention{
        q.data(),     keys.data(),    values.data(), pages.data(),  case_.pages_per_sequence(),
        heads_.query, heads_.kv,      heads_.block,  case_.scale(), splits.map(),
        split_tokens, partial.data(), weight.data()};
    emulation::launch({kBlocks, Shape::kThreads, Shape::kSharedBytes},
                      [&] { decode_attention<Shape, kFault>(attention); });
    emulation::launch({2, kCombineSplitsThreads}, [&] {
      combine_splits(partial.data(), weight.data(), splits.map(), static_cast<int>(case_.lengths().size()),
                     heads_.query, kDims, out.data());
    });
    return out.values();
  }

  template <Fault kFault = Fault::none>
  reference::Errors errors(int split_tokens) {
    return reference::relative_errors(run<kFault>(split_tokens), case_.expected());
  }

private:
  static constexpr int kDims = Shape::kValueDims;
  Random random_;
  Heads heads_;
  AttentionCase case_;
};

void check(const reference::Errors& errors) {
  CAPTURE(errors.worst, errors.mean);
  CHECK(errors.mean <= kTolerance);
  CHECK(errors.worst <= 2 * kTolerance);
}

/// What gave a planted mistake away, "" if nothing did.
template <class Shape, Fault kFault>
std::string noticed(Heads heads) {
  return noticed_by([&] {
    Batch<Shape> batch{{150, 3}, heads, fresh_seed()};
    const auto errors = batch.template errors<kFault>(128);
    return errors.mean <= kTolerance && errors.worst <= 2 * kTolerance ? "" : "wrong result";
  });
}

template <class Shape>
void check_faults(Heads heads) {
  using Catch::Matchers::Contains;
  CHECK((noticed<Shape, Fault::none>(heads)).empty());
  CHECK_THAT((noticed<Shape, Fault::wait_depth>(heads)), Contains("reads a copy that has not been waited for"));
  CHECK_THAT((noticed<Shape, Fault::barrier>(heads)), Contains("reads what nothing wrote"));
  CHECK((noticed<Shape, Fault::fragment_row>(heads)) == "wrong result");
  CHECK((noticed<Shape, Fault::mask>(heads)) == "wrong result");
  CHECK((noticed<Shape, Fault::rescale>(heads)) == "wrong result");
  CHECK((noticed<Shape, Fault::zero_fill>(heads)) == "wrong result");
}

}  // namespace

TEMPLATE_TEST_CASE("Grouped-query attention is right on ragged contexts however they are split", "[kernels]", Gqa128,
                   Gqa128Shallow, Gqa64) {
  const std::uint64_t seed = fresh_seed();
  const int split = GENERATE(64, 192, 1024);
  CAPTURE(seed, split);
  check(Batch<TestType>{{1, 64, 63, 65, 300, 128, 0}, {16, 2, 8}, seed}.errors(split));
}

TEST_CASE("Groups of any number of heads are right", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  const Heads heads = GENERATE(Heads{4, 1, 4}, Heads{16, 1, 16}, Heads{32, 1, 16}, Heads{3, 3, 1}, Heads{10, 2, 5});
  CAPTURE(seed, heads.query, heads.kv, heads.block);
  check(Batch<Gqa64>{{100, 7}, heads, seed}.errors(64));
}

TEST_CASE("Latent attention is right on ragged contexts", "[kernels]") {
  const std::uint64_t seed = fresh_seed();
  CAPTURE(seed);
  check(Batch<Mla64>{{1, 100, 33}, {128, 1, 64}, seed}.errors(64));
  check(Batch<Mla64Shallow>{{1, 70, 0}, {64, 1, 64}, seed}.errors(1024));
  check(Batch<Mla16>{{1, 64, 200, 31}, {16, 1, 16}, seed}.errors(128));
  check(Batch<Mla16>{{40}, {8, 1, 8}, seed}.errors(64));
}

TEST_CASE("A context without tokens attends to nothing and gives zeros", "[kernels]") {
  const auto out = Batch<Gqa64>{{0, 5}, {2, 1, 2}, fresh_seed()}.run(64);
  for (std::size_t i = 0; i < 2 * 64; ++i) CHECK(out[i].bits == 0);
}

TEST_CASE("One token is attended to whatever its score", "[kernels]") {
  Batch<Gqa64> batch{{1}, {2, 1, 2}, fresh_seed()};
  CHECK(batch.errors(64).worst == 0);  // its value, which is a bf16
}

TEST_CASE("A planted mistake in decode attention is noticed", "[kernels]") {
  SECTION("128 dimensions") {
    check_faults<Gqa128>({8, 2, 4});
  }
  SECTION("64 dimensions") {
    check_faults<Gqa64>({8, 2, 4});
  }
  SECTION("latent") {
    check_faults<Mla16>({8, 1, 8});
  }
}
