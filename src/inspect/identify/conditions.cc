#include "inspect/identify/conditions.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "inspect/shard_index.h"

namespace warmset {
namespace {

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// "4|8"; nothing when any of them is no number.
std::optional<std::vector<uint64_t>> ParseNumbers(std::string_view text) {
  std::vector<uint64_t> numbers;
  while (true) {
    const size_t bar = text.find('|');
    const auto number = ParseNumber<uint64_t>(text.substr(0, bar));
    if (!number) return std::nullopt;
    numbers.push_back(*number);
    if (bar == std::string_view::npos) return numbers;
    text.remove_prefix(bar + 1);
  }
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

std::string TensorText(const TensorView& tensor) {
  const bool plain = tensor.name.size() <= kMaxMatchedName && IsPrintable(tensor.name);
  return fmt::format("{} [{}]", plain ? tensor.name : "?", fmt::join(tensor.shape, ", "));
}

StatusOr<Condition> ConditionSet::Parse(std::string_view text) {
  Condition condition;
  while (!text.empty()) {
    const size_t space = text.find(' ');
    std::string_view word = text.substr(0, space);
    text = space == std::string_view::npos ? "" : text.substr(space + 1);
    if (word.empty()) continue;
    const bool negated = word.starts_with('!');
    word.remove_prefix(negated ? 1 : 0);
    auto known = ids_.find(word);
    if (known == ids_.end()) {
      ASSIGN_OR_RETURN(Term term, ParseTerm(word));
      known = ids_.emplace(word, static_cast<TermId>(terms_.size())).first;
      terms_.push_back(std::move(term));
    }
    condition.parts.push_back({known->second, negated});
  }
  return condition;
}

// Adds the term's names to names_ under the next free id.
StatusOr<ConditionSet::Term> ConditionSet::ParseTerm(std::string_view text) {
  const auto wrong = [&] {
    return Error(ErrorCode::kInvalidRequest, fmt::format("'{}' is no condition", text));
  };
  Term term;
  const size_t equals = text.find('=');
  if (text.starts_with('@')) {
    if (equals == std::string_view::npos) return wrong();
    term.asks = Asks::kMetadata;
    term.key = text.substr(1, equals - 1);
    term.pattern = LowerCase(text.substr(equals + 1));
    return term;
  }
  if (text.starts_with("tensors<") || text.starts_with("tensors=")) {
    const auto number = ParseNumber<uint64_t>(text.substr(8));
    if (!number) return wrong();
    term.asks = text[7] == '<' ? Asks::kFewerTensors : Asks::kTensors;
    term.values = {*number};
    return term;
  }
  const size_t bracket = text.find('[');
  if (bracket != std::string_view::npos) {
    const size_t close = text.find("]=", bracket);
    if (close == std::string_view::npos) return wrong();
    const std::string_view dim = text.substr(bracket + 1, close - bracket - 1);
    auto values = ParseNumbers(text.substr(close + 2));
    const auto number = ParseNumber<int>(dim);
    if (!values || (dim != "rank" && !number)) return wrong();
    term.asks = dim == "rank" ? Asks::kRank : Asks::kDim;
    term.dim = number.value_or(0);
    term.values = *std::move(values);
  }
  const std::string_view pattern = text.substr(0, bracket);
  if (pattern.empty() || pattern.find('=') != std::string_view::npos) return wrong();
  for (std::string& name : ExpandAlternatives(pattern)) {
    if (name.empty()) return wrong();
    names_.Add(std::move(name), static_cast<TermId>(terms_.size()));
  }
  return term;
}

bool ConditionSet::Fits(const Term& term, std::span<const uint64_t> shape) {
  uint64_t value = shape.size();
  if (term.asks == Asks::kTensor) return true;
  if (term.asks == Asks::kDim) {
    const auto dims = static_cast<int64_t>(shape.size());
    const int64_t dim = term.dim < 0 ? dims + term.dim : term.dim;
    if (dim < 0 || dim >= dims) return false;
    value = shape[static_cast<size_t>(dim)];
  }
  return std::find(term.values.begin(), term.values.end(), value) != term.values.end();
}

void ConditionSet::Look(std::string_view name, std::span<const uint64_t> shape,
                        const TensorView& tensor, TermHits& hits) const {
  if (name.size() > kMaxMatchedName) return;
  names_.ForEachMatch(
      name, [&](TermId id) { return !hits.Has(id) && Fits(terms_[id], shape); },
      [&](TermId id) { hits.Set(id, tensor); });
}

bool ConditionSet::TermHolds(TermId id, std::span<const TermHits* const> groups,
                             const FileFacts& facts, std::string& evidence) const {
  const Term& term = terms_[id];
  switch (term.asks) {
    case Asks::kMetadata: {
      std::string_view value = term.key == "name" ? facts.file_name : std::string_view();
      if (facts.metadata != nullptr && term.key != "name") {
        const auto entry = facts.metadata->find(term.key);
        if (entry != facts.metadata->end()) value = entry->second;
      }
      if (value.empty() || value.size() > kMaxMatchedName || !IsPrintable(value)) return false;
      evidence = fmt::format("{} is {}", term.key == "name" ? "file name" : term.key, value);
      return MatchesName(term.pattern, LowerCase(value));
    }
    case Asks::kFewerTensors:
    case Asks::kTensors: {
      const uint64_t tensors = groups.front()->tensors;
      evidence = fmt::format("{} tensors", tensors);
      return term.asks == Asks::kTensors ? tensors == term.values[0] : tensors < term.values[0];
    }
    default:
      for (const TermHits* group : groups) {
        if (!group->Has(id)) continue;
        evidence = TensorText(group->First(id));
        return true;
      }
      return false;
  }
}

bool ConditionSet::Holds(const Condition& condition, std::span<const TermHits* const> groups,
                         const FileFacts& facts, std::vector<std::string>& evidence) const {
  std::vector<std::string> found;
  for (const Condition::Part& part : condition.parts) {
    std::string what;
    if (TermHolds(part.term, groups, facts, what) == part.negated) return false;
    if (!part.negated) found.push_back(std::move(what));
  }
  for (std::string& what : found) {
    if (std::find(evidence.begin(), evidence.end(), what) == evidence.end()) {
      evidence.push_back(std::move(what));
    }
  }
  return true;
}

}  // namespace warmset
