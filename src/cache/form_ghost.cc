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

double FormGhost::Request(const ComponentId& id, const FormCosts& costs, bool as_raw) {
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
  SetForm(known, before == Form::kCompressed && !as_raw ? Form::kCompressed : Form::kRaw);
  still_compressed_ = before == Form::kCompressed ? &known : nullptr;
  if (used_bytes_ > capacity_bytes_) saved -= MakeFit(asked);
  if (known.form != before) changed_.push_back(id);
  return saved;
}

double FormGhost::MakeFit(Named& asked) {
  const double encoding = 1 / CompressedLife();
  const auto dearer = [](const Step& a, const Step& b) { return a.cost_per_byte > b.cost_per_byte; };
  std::vector<Step> steps;
  if (asked.second.bytes() > capacity_bytes_) {
    SetForm(asked.second, Form::kAbsent);
  }
  for (Named& named : known_) {
    if (named.second.form != Form::kAbsent) steps.push_back(StepOf(named, encoding));
  }
  std::make_heap(steps.begin(), steps.end(), dearer);
  double encoded_seconds = 0;
  while (used_bytes_ > capacity_bytes_) {
    std::pop_heap(steps.begin(), steps.end(), dearer);
    const Step step = steps.back();
    steps.pop_back();
    Known& smaller = step.component->second;
    if (step.to == Form::kCompressed && &smaller != still_compressed_) {
      encoded_seconds += smaller.costs.encode_seconds;
      encoded_sum_ += 1;
    }
    SetForm(smaller, step.to);
    if (step.component != &asked) changed_.push_back(step.component->first);
    if (smaller.form == Form::kAbsent) continue;
    steps.push_back(StepOf(*step.component, encoding));
    std::push_heap(steps.begin(), steps.end(), dearer);
  }
  return encoded_seconds;
}

FormGhost::Step FormGhost::StepOf(Named& named, double encoding) const {
  const Known& known = named.second;
  const FormCosts& costs = known.costs;
  const double rate = known.history.RateAt(now_);
  if (known.form == Form::kCompressed) {
    const double lost = costs.load_seconds - costs.decode_seconds;
    return {&named, Form::kAbsent, PerByte(rate * lost, costs.compressed_bytes)};
  }
  const Step drop{&named, Form::kAbsent, PerByte(rate * costs.load_seconds, costs.raw_bytes)};
  // It is there in both forms while it is encoded, and while it is decoded.
  const bool has_room = costs.compressed_bytes < costs.raw_bytes &&
                        costs.raw_bytes <= capacity_bytes_ &&
                        costs.compressed_bytes <= capacity_bytes_ - costs.raw_bytes;
  if (!has_room) return drop;
  // To let go what is encoded already makes it necessary to do that again.
  const double again = encoding * costs.encode_seconds;
  const double lost = rate * costs.decode_seconds + (&known == still_compressed_ ? -again : again);
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

bool FormGhost::HasDropped(const ComponentId& id) const {
  const auto known = known_.find(id);
  return known != known_.end() && known->second.form == Form::kAbsent &&
         known->second.costs.raw_bytes > 0;
}

std::vector<ComponentId> FormGhost::Components() const {
  std::vector<ComponentId> components;
  components.reserve(known_.size());
  for (const auto& [id, known] : known_) components.push_back(id);
  return components;
}

}  // namespace warmset
