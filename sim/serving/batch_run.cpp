#include "sim/serving/batch_run.hpp"

#include <optional>

#include <fmt/format.h>

#include "sim/serving/batch.hpp"
#include "sim/serving/group_exchange.hpp"
#include "sim/serving/stage_run.hpp"

namespace moesim {
namespace {

/// bf16 activations.
constexpr double kActivationBytes = 2;

/// Activations from every rank of a stage to its successor. Each rank of a TP group sends its share of the columns, and
/// the group gathers them at the other end.
class Handover {
public:
  Handover(const Scenario& scenario, const Deployment& plan, int from_stage)
      : scenario_{scenario},
        plan_{plan},
        first_{from_stage * plan.layout.ranks},
        timer_{plan.topology, scenario.cluster.gpu.all_gather} {
    if (plan.layout.spec.attention_tp > 1)
      gather_.emplace(plan.stages[static_cast<std::size_t>(from_stage) + 1], plan.layout.attention_tp_groups,
                      all_gather, scenario.cluster.gpu.all_gather);
  }

  /// Until the last rank of the next stage has all of the batch. Fills link_bytes().
  Seconds operator()(int batch) {
    const Layout& layout = plan_.layout;
    const StepBatch tokens = batch_of_step(scenario_, layout, batch);
    std::vector<double> message;
    for (const RankBatch& rank : tokens.of_dp_rank)
      message.push_back(rank.tokens() * scenario_.model.hidden * kActivationBytes);
    link_bytes_.assign(plan_.topology.links().size(), 0.0);
    for (int rank = 0; rank < layout.ranks; ++rank) {
      const double share = message[static_cast<std::size_t>(layout.dp_rank_of(rank))] / layout.spec.attention_tp;
      for (const LinkId link : plan_.topology.route(first_ + rank, first_ + layout.ranks + rank))
        link_bytes_[static_cast<std::size_t>(link)] += share;
    }
    const Seconds sent = timer_(link_bytes_).time;
    if (!gather_) return sent;
    gather_->run(message);
    for (std::size_t link = 0; link < link_bytes_.size(); ++link) link_bytes_[link] += gather_->link_bytes()[link];
    return sent + gather_->longest();
  }

  std::span<const double> link_bytes() const { return link_bytes_; }

private:
  const Scenario& scenario_;
  const Deployment& plan_;
  int first_;
  FluidTimer timer_;
  std::optional<GroupExchange> gather_;
  std::vector<double> link_bytes_;
};

/// Batches on their way through the stages; one stage is a pipeline too.
class Pipeline {
public:
  Pipeline(const Scenario& scenario, const Deployment& plan, const Sink& sink)
      : sink_{sink},
        microbatches_{plan.layout.spec.microbatches},
        filling_{plan.layout.spec.pp > 1 ? microbatches_ : 0},
        batches_{filling_ + scenario.workload.steps * microbatches_} {
    const auto stages = static_cast<std::size_t>(plan.layout.spec.pp);
    told_.reserve(stages);
    for (std::size_t s = 0; s < stages; ++s) {
      told_.push_back([this, s](const Event& event) {
        if (stages_[s].is_told) sink_(event);
      });
      const int stage = static_cast<int>(s);
      stages_.push_back(
          {{scenario, plan, stage, filling_ > 0 ? told_[s] : sink_}, Station{fmt::format("stage {}", s)}});
      if (s > 0) handovers_.emplace_back(scenario, plan, stage - 1);
    }
  }

  /// One actor for each microbatch of a step: it comes again when it has left.
  Seconds run() {
    std::vector<Actor> actors;
    for (int first = 0; first < microbatches_; ++first)
      actors.push_back({fmt::format("microbatch {}", first), [this, first](Clock& clock) {
                          for (int batch = first; batch < batches_; batch += microbatches_) pass(batch, clock);
                        }});
    return run_actors(std::move(actors));
  }

private:
  struct Stage {
    StageRun run;
    Station station;
    Seconds free_since{};
    bool is_told = false;
  };

  void pass(int batch, Clock& clock) {
    std::int64_t tokens = 0;
    for (std::size_t s = 0; s < stages_.size(); ++s) {
      if (s > 0) hand_over(s, batch, clock);
      Stage& stage = stages_[s];
      stage.station.enter();
      stage.is_told = batch >= filling_;
      if (filling_ > 0) stage.run.idle(clock, clock.now() - stage.free_since);
      tokens = stage.run(batch, clock);
      stage.free_since = clock.now();
      stage.station.leave();
    }
    leave(tokens, clock.now());
  }

  void hand_over(std::size_t to_stage, int batch, Clock& clock) {
    Handover& handover = handovers_[to_stage - 1];
    const Seconds took = handover(batch);
    if (batch >= filling_) sink_(BytesMoved{clock.now() + took, Cause::pipeline, -1, took, handover.link_bytes()});
    clock.advance(took);
  }

  void leave(std::int64_t tokens, Seconds now) {
    step_tokens_ += tokens;
    if (++left_ % microbatches_ != 0) return;
    const int step = (left_ - filling_) / microbatches_ - 1;
    if (step >= 0) sink_(StepFinished{now, now - step_began_, step, step_tokens_});
    step_began_ = now;
    step_tokens_ = 0;
  }

  const Sink& sink_;
  int microbatches_, filling_, batches_;
  std::vector<Sink> told_;  ///< [stages] leaves out what fills the pipeline
  std::vector<Stage> stages_;
  std::vector<Handover> handovers_;
  int left_ = 0;
  Seconds step_began_;
  std::int64_t step_tokens_ = 0;
};

}  // namespace

Seconds run_batches(const Scenario& scenario, const Deployment& plan, const Sink& sink) {
  return Pipeline{scenario, plan, sink}.run();
}

}  // namespace moesim
