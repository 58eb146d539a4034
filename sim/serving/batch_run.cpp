#include "sim/serving/batch_run.hpp"

#include <deque>
#include <optional>

#include <fmt/format.h>

#include "sim/serving/batch.hpp"
#include "sim/serving/group_exchange.hpp"
#include "sim/serving/stage_run.hpp"

namespace moesim {
namespace {

/// Activations from every rank of a stage to its successor. Each rank of a TP group sends its share of the columns, and
/// the group gathers them at the other end.
class Handover {
public:
  Handover(const Scenario& scenario, const Deployment& plan, int from_stage)
      : scenario_{scenario},
        plan_{plan},
        from_stage_{from_stage},
        first_{from_stage * plan.layout.ranks},
        timer_{plan.topology, scenario.cluster.gpu.all_gather} {
    if (plan.layout.spec.attention_tp > 1)
      gather_.emplace(plan.stages[static_cast<std::size_t>(from_stage) + 1], plan.layout.attention_tp_groups,
                      all_gather, scenario.cluster.gpu.all_gather, plan.curves.get());
  }

  /// Takes the batch on the caller's clock until the last rank of the next stage has all of it.
  void operator()(int batch, Turn turn, const Sink& sink, Clock& clock) {
    const CollectiveTime took = exchange(batch);
    if (turn.step >= 0)
      sink(BytesMoved{clock.now() + took.time, Cause::pipeline, -1, took.time, link_bytes_, took.busiest,
                      took.time - took.latency, from_stage_, Pace::beside, turn, from_stage_ + 1});
    clock.advance(took.time);
  }

private:
  /// Gathering counts as latency. Fills link_bytes_.
  CollectiveTime exchange(int batch) {
    const Layout& layout = plan_.layout;
    const std::vector<double> message =
        activation_bytes(batch_of_step(scenario_, layout, batch), scenario_.model.hidden);
    link_bytes_.assign(plan_.topology.links().size(), 0.0);
    for (int rank = 0; rank < layout.ranks; ++rank) {
      const double share = message[static_cast<std::size_t>(layout.dp_rank_of(rank))] / layout.spec.attention_tp;
      for (const LinkId link : plan_.topology.route(first_ + rank, first_ + layout.ranks + rank))
        link_bytes_[static_cast<std::size_t>(link)] += share;
    }
    CollectiveTime took = timer_(link_bytes_);
    if (!gather_) return took;
    gather_->run(message);
    for (std::size_t link = 0; link < link_bytes_.size(); ++link) link_bytes_[link] += gather_->link_bytes()[link];
    took.time += gather_->longest();
    took.latency += gather_->longest();
    return took;
  }

  const Scenario& scenario_;
  const Deployment& plan_;
  int from_stage_, first_;
  FluidTimer timer_;
  std::optional<GroupExchange> gather_;
  std::vector<double> link_bytes_;
};

/// Microbatches on their way through stages or between pools; a single batch on all GPUs is one too.
class Pipeline {
public:
  Pipeline(const Scenario& scenario, const Deployment& plan, const Sink& sink)
      : sink_{sink},
        microbatches_{plan.layout.spec.microbatches},
        filling_{is_shared(plan) ? microbatches_ : 0},
        batches_{filling_ + scenario.workload.steps * microbatches_} {
    const Layout& layout = plan.layout;
    if (layout.spec.experts_apart) {
      places_.emplace_back("attention", layout.ranks, 0, true, sink_);
      places_.emplace_back("experts", layout.expert_ranks(), 1, true, sink_);
      for (int lane = 0; lane < microbatches_; ++lane)
        runs_.emplace_back().emplace_back(scenario, plan, 0, places_[0], &places_[1], sink_);
      return;
    }
    runs_.resize(1);
    for (int stage = 0; stage < layout.spec.pp; ++stage) {
      places_.emplace_back(fmt::format("stage {}", stage), layout.ranks, stage, is_shared(plan), sink_);
      runs_[0].emplace_back(scenario, plan, stage, places_.back(), nullptr, sink_);
      if (stage > 0) handovers_.emplace_back(scenario, plan, stage - 1);
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
  using Stages = std::vector<StageRun>;

  static bool is_shared(const Deployment& plan) { return plan.layout.spec.pp > 1 || plan.layout.spec.experts_apart; }

  void pass(int batch, Clock& clock) {
    const Turn turn{(batch - batch % microbatches_ - filling_) / microbatches_, batch % microbatches_};
    std::int64_t tokens = 0;
    Stages& stages = runs_[static_cast<std::size_t>(batch) % runs_.size()];
    for (std::size_t s = 0; s < stages.size(); ++s) {
      if (s > 0) handovers_[s - 1](batch, turn, sink_, clock);
      tokens = stages[s](batch, turn, clock);
    }
    leave(tokens, clock.now());
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
  std::deque<Place> places_;  ///< [stages], or attention and experts
  std::vector<Stages> runs_;  ///< one, or of experts apart one for each microbatch
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
