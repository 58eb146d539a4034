#pragma once
// Questions answered: by simulations, each in a process of its own, or by the models of single parts.

#include <map>
#include <string>
#include <vector>

#include "sim/validate/measured_case.hpp"

namespace moesim {

/// What a simulation said, or why it said nothing.
struct StepAnswer {
  Seconds step;  ///< mean
  std::string kernel_source;
  std::string refusal;  ///< of the scenario, or that it does not fit; empty: it answered
};

/// Simulates a scenario. One call per process.
StepAnswer simulate_step(const std::string& scenario);

/// As one line of text, from one process to another.
std::string answer_text(const StepAnswer& answer);
StepAnswer read_answer(const std::string& text);

/// By the text of the scenario.
using StepAnswers = std::map<std::string, StepAnswer>;

struct Prediction {
  Seconds time;
  Seconds first;       ///< of several steps: the first alone
  std::string source;  ///< of its kernel or collective times
  std::string refusal;
};

/// The scenarios that `answers` must have are those of the question.
Prediction predict(const Question& question, const StepAnswers& answers);

}  // namespace moesim
