#include "cache/form_ghost.h"

#include <algorithm>
#include <cmath>

namespace warmset {
namespace {

const double kDecay = std::exp2(-1.0 / 500);  // at each request

double PerByte(double seconds, uint64_t bytes) {
  return seconds / static_cast<double>(std::max<uint64_t>(bytes, 1));
}

}  // namespace

uint64_t FormGhost::Known::bytes() const {
  return form == Form::kRaw          ? costs.raw_bytes
         : form == Form::kCompressed ? costs.compressed_bytes
                                     : 0;
}

double FormGhost::Request(const ComponentId& id, const FormCosts& costs) {
  changed_.clear();
  compressed_sum_ = compressed_sum_ * kDecay + static_cast<double>(compressed_);
  encoded_sum_ *= kDecay;

  Named& asked = *known_.try_emplace(id).first;
  Known& known = asked.second;
  const Form before = known.form;
  double saved = 0;
  if (before == Form::kRaw) saved = costs.load_seconds;
  if (before == Form::kCompressed) saved = std::max(0.0, costs.load_seconds - costs.decode_seconds);
  SetForm(known, Form::kAbsent);
  known.costs = costs;
  known.history.Count(++now_);
  SetForm(known, Form::kRaw);  // as whoever asks gets it

  still_compressed_ = before == Form::kCompressed ? &known : nullptr;
  while (used_bytes_ > capacity_bytes_) {
    const Step step = known.bytes() > capacity_bytes_ ? StepOf(asked) : CheapestStep();
    Known& smaller = step.component->second;
    if (step.to == Form::kCompressed && &smaller != still_compressed_) {
      saved -= smaller.costs.encode_seconds;
      encoded_sum_ += 1;
    }
    SetForm(smaller, step.to);
    if (&smaller != &known) changed_.push_back(step.component->first);
  }
  if (known.form != before) changed_.push_back(id);
  return saved;
}

FormGhost::Step FormGhost::StepOf(Named& named) const {
  const Known& known = named.second;
  const FormCosts& costs = known.costs;
  const double rate = known.history.RateAt(now_);
  if (known.form == Form::kCompressed) {
    const double lost = costs.load_seconds - costs.decode_seconds;
    return {&named, Form::kAbsent, PerByte(rate * lost, costs.compressed_bytes)};
  }
  const Step drop{&named, Form::kAbsent, PerByte(rate * costs.load_seconds, costs.raw_bytes)};
  if (costs.compressed_bytes >= costs.raw_bytes) return drop;
  // To let go what is encoded already makes it necessary to do that again.
  const double encoding = costs.encode_seconds / CompressedLife();
  const double lost = rate * costs.decode_seconds + (&known == still_compressed_ ? -encoding
                                                                                 : encoding);
  const Step compress{&named, Form::kCompressed,
                      PerByte(lost, costs.raw_bytes - costs.compressed_bytes)};
  return compress.cost_per_byte < drop.cost_per_byte ? compress : drop;
}

// Little's law: how many are there by how many come.
double FormGhost::CompressedLife() const {
  constexpr double kGuess = 100;
  constexpr double kWeight = 5;  // encodings that the guess stands for
  return (kGuess * kWeight + compressed_sum_) / (kWeight + encoded_sum_);
}

FormGhost::Step FormGhost::CheapestStep() {
  Step cheapest;
  for (Named& named : known_) {
    if (named.second.form == Form::kAbsent) continue;
    const Step step = StepOf(named);
    if (cheapest.component == nullptr || step.cost_per_byte < cheapest.cost_per_byte) {
      cheapest = step;
    }
  }
  return cheapest;
}

void FormGhost::SetForm(Known& known, Form form) {
  used_bytes_ -= known.bytes();
  if (known.form == Form::kCompressed) --compressed_;
  known.form = form;
  used_bytes_ += known.bytes();
  if (known.form == Form::kCompressed) ++compressed_;
}

void FormGhost::Recall(const ComponentId& id, const UseHistory& history) {
  known_[id].history = history;
  now_ = std::max(now_, history.last_request);
}

FormGhost::Form FormGhost::FormOf(const ComponentId& id) const {
  const auto known = known_.find(id);
  return known == known_.end() ? Form::kAbsent : known->second.form;
}

std::vector<ComponentId> FormGhost::Components() const {
  std::vector<ComponentId> components;
  components.reserve(known_.size());
  for (const auto& [id, known] : known_) components.push_back(id);
  return components;
}

}  // namespace warmset
