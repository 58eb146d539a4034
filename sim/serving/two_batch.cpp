#include "sim/serving/two_batch.hpp"

namespace moesim {

void TwoBatch::layer(const HalfLayer& first, const HalfLayer& second) {
  if (phase_ == Phase::prefill)
    prefill(first, second);
  else
    decode(first, second);
}

void TwoBatch::drain() {
  if (second_is_behind_) finish_second();
  wait_for_combine(0);
  wait_for_combine(1);
}

void TwoBatch::wait_for_combine(int batch) {
  if (combining_[batch]) timeline_.wait(batch);
  combining_[batch] = false;
}

void TwoBatch::experts(int batch, std::span<const double> seconds, Seconds combine) {
  timeline_.wait(batch);  // for its dispatch
  timeline_.compute(batch, Cause::experts, seconds);
  timeline_.start(batch, Cause::combine, combine);
  combining_[batch] = true;
}

void TwoBatch::finish_second() {
  experts(1, second_experts_, second_combine_);
  second_is_behind_ = false;
}

void TwoBatch::prefill(const HalfLayer& first, const HalfLayer& second) {
  const HalfLayer* halves[] = {&first, &second};
  for (int b : {0, 1}) {
    wait_for_combine(b);  // of the layer before
    timeline_.compute(b, Cause::attention, halves[b]->projection);
    timeline_.compute(b, Cause::attention, halves[b]->attention);
    timeline_.compute(b, Cause::other, halves[b]->routing);
    timeline_.start(b, Cause::dispatch, halves[b]->dispatch);
  }
  for (int b : {0, 1}) experts(b, halves[b]->experts, halves[b]->combine);
  for (int b : {0, 1}) timeline_.compute(b, Cause::dense, halves[b]->shared);
}

void TwoBatch::decode(const HalfLayer& first, const HalfLayer& second) {
  timeline_.compute(0, Cause::attention, first.projection);
  if (second_is_behind_) finish_second();
  timeline_.compute(0, Cause::attention, first.attention);
  timeline_.compute(0, Cause::other, first.routing);
  wait_for_combine(1);
  timeline_.start(0, Cause::dispatch, first.dispatch);
  timeline_.compute(0, Cause::dense, first.shared);
  timeline_.compute(1, Cause::attention, second.projection);
  experts(0, first.experts, first.combine);
  timeline_.compute(1, Cause::attention, second.attention);
  timeline_.compute(1, Cause::other, second.routing);
  wait_for_combine(0);
  timeline_.start(1, Cause::dispatch, second.dispatch);
  timeline_.compute(1, Cause::dense, second.shared);
  second_experts_.assign(second.experts.begin(), second.experts.end());
  second_combine_ = second.combine;
  second_is_behind_ = true;
}

}  // namespace moesim
