#include "inspect/identify/rule_book.h"

#include <algorithm>

#include "fmt/format.h"

namespace warmset {
namespace {

constexpr double kMaxConfidence = 0.99;  // headers alone never prove it
constexpr double kFarBehind = 0.5;       // of the first one's confidence
constexpr double kCountsAsRefinement = 0.5;
constexpr double kTells = 0.7;  // rules below that share their sizes with others

bool ListHas(std::string_view list, std::string_view name) {
  bool has = false;
  ForEachWord(list, '|', [&](std::string_view each) { has = has || each == name; });
  return has;
}

// The condition with its shorthands written out; one that is not known stays, and
// is found when the condition is parsed.
std::string Expand(std::string_view condition, std::span<const Shorthand> shorthands) {
  std::string expanded;
  ForEachWord(condition, ' ', [&](std::string_view word) {
    if (!expanded.empty()) expanded += ' ';
    if (word.starts_with('$')) {
      const std::string_view name =
          word.substr(1, word.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_", 1) - 1);
      const auto found = std::find_if(shorthands.begin(), shorthands.end(),
                                      [name](const Shorthand& each) { return each.name == name; });
      if (found != shorthands.end()) {
        expanded += found->terms;
        word.remove_prefix(1 + name.size());
      }
    }
    expanded += word;
  });
  return expanded;
}

// Whether a condition asks for more than names: a dim of a tensor, or metadata.
bool AsksForSizes(std::string_view condition) {
  bool asks = false;
  ForEachWord(condition, ' ', [&](std::string_view word) {
    const bool dim =
        word.find("]=") != std::string_view::npos && word.find("[rank]=") == std::string_view::npos;
    asks = asks || (!word.starts_with('!') && (dim || word.starts_with('@')));
  });
  return asks;
}

}  // namespace

void AddEvidence(Candidate& candidate, double confidence, std::span<const std::string> evidence) {
  candidate.confidence =
      std::min(kMaxConfidence, 1 - (1 - candidate.confidence) * (1 - confidence));
  for (const std::string& each : evidence) {
    auto& known = candidate.evidence;
    if (std::find(known.begin(), known.end(), each) == known.end()) known.push_back(each);
  }
}

bool IsRefinement(std::string_view name, std::string_view general) {
  if (general.empty() || name.size() <= general.size() || !name.starts_with(general)) return false;
  const char next = name[general.size()];
  return next < 'a' || next > 'z';
}

void RankCandidates(std::vector<Candidate>& candidates) {
  std::vector<bool> refined(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    const Candidate general = candidates[i];
    for (Candidate& candidate : candidates) {
      if (candidate.type == general.type && candidate.confidence >= kCountsAsRefinement &&
          IsRefinement(candidate.name, general.name)) {
        AddEvidence(candidate, general.confidence, general.evidence);
        candidate.sized = candidate.sized || general.sized;
        refined[i] = true;
      }
    }
  }
  size_t at = 0;
  std::erase_if(candidates, [&](const Candidate&) { return refined[at++]; });
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) {
                     if (a.confidence != b.confidence) return a.confidence > b.confidence;
                     return !a.name.empty() && b.name.empty();
                   });
  std::erase_if(candidates,
                [least = candidates.empty() ? 0 : candidates[0].confidence * kFarBehind](
                    const Candidate& each) { return each.confidence < least; });
}

RuleBook::RuleBook(std::span<const RuleTable> tables) {
  for (const RuleTable& table : tables) Add(table);
}

void RuleBook::Add(const RuleTable& table) {
  const auto parse = [&](std::string_view when, auto add) {
    const std::string expanded = Expand(when, table.shorthands);
    auto condition = conditions_.Parse(expanded);
    if (condition.ok()) {
      add(*std::move(condition), AsksForSizes(expanded));
    } else {
      mistakes_.push_back(fmt::format("{}: {}", when, Message(condition.status())));
    }
  };
  for (const ModelRule& rule : table.models) {
    parse(rule.when, [&](Condition when, bool sized) {
      models_.push_back({rule, std::move(when), sized && rule.confidence >= kTells});
    });
  }
  for (const VariantRule& rule : table.variants) {
    parse(rule.when, [&](Condition when, bool) { variants_.push_back({rule, std::move(when)}); });
  }
}

std::vector<Candidate> RuleBook::CandidatesFor(const TermHits& hits, const TermHits* beside,
                                               const FileFacts& facts) const {
  const TermHits* const own[] = {&hits};
  std::vector<Candidate> candidates;
  for (const CompiledModel& model : models_) {
    std::vector<std::string> evidence;
    if (!conditions_.Holds(model.when, own, facts, evidence)) continue;
    const ModelRule& rule = model.rule;
    const auto known = std::find_if(
        candidates.begin(), candidates.end(),
        [&](const Candidate& each) { return each.name == rule.name && each.type == rule.type; });
    if (known != candidates.end()) {
      AddEvidence(*known, rule.confidence, evidence);
      known->sized = known->sized || model.sized;
      continue;
    }
    const std::string name(rule.name);
    const std::string_view lacks = rule.lacks.empty() ? RowOfType(rule.type).lacks : rule.lacks;
    candidates.push_back({name, name, std::string(rule.type), rule.confidence, evidence,
                          std::string(lacks), model.sized});
  }
  const TermHits* const both[] = {&hits, beside};
  const std::span<const TermHits* const> groups(both, beside == nullptr ? 1 : 2);
  for (const CompiledVariant& variant : variants_) {
    for (Candidate& candidate : candidates) {
      if (candidate.type == variant.rule.type && ListHas(variant.rule.of, candidate.base) &&
          conditions_.Holds(variant.when, groups, facts, candidate.evidence)) {
        candidate.name += variant.rule.suffix;
      }
    }
  }
  RankCandidates(candidates);
  return candidates;
}

}  // namespace warmset
