// The tables of rules, made ready to be asked.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inspect/identify/conditions.h"
#include "inspect/identify/rules.h"

namespace warmset {

// What tensors may be.
struct Candidate {
  std::string name;  // of the architecture, with its variants; empty: not told
  std::string base;  // the architecture without variants
  std::string type;  // of the component
  double confidence = 0;
  std::vector<std::string> evidence;
  std::string lacks = "";  // types that a model of it needs beside itself, with spaces
  bool sized = false;      // sizes or metadata say so, not names alone
};

// Adds what another rule or source says of the same candidate.
void AddEvidence(Candidate& candidate, double confidence, std::span<const std::string> evidence);

// True when `name` says more than `general` of the same: "flux.1-dev", "flux.1".
bool IsRefinement(std::string_view name, std::string_view general);

// Puts candidates in order, the likeliest first: those that others refine become
// part of them, those far behind the first are dropped.
void RankCandidates(std::vector<Candidate>& candidates);

// Calls visit() for each of the words between separators.
template <typename Visit>
void ForEachWord(std::string_view words, char separator, Visit&& visit) {
  while (!words.empty()) {
    const size_t end = words.find(separator);
    if (end != 0) visit(words.substr(0, end));
    words.remove_prefix(end == std::string_view::npos ? words.size() : end + 1);
  }
}

// Const methods are thread-safe.
class RuleBook {
 public:
  explicit RuleBook(std::span<const RuleTable> tables);

  const ConditionSet& conditions() const { return conditions_; }
  // Rules that can't be read, with the reason; they are left out.
  const std::vector<std::string>& mistakes() const { return mistakes_; }

  // What the rules say of a group of tensors, ranked. `beside`: tensors that may
  // tell its variant, too; may be null.
  std::vector<Candidate> CandidatesFor(const TermHits& hits, const TermHits* beside,
                                       const FileFacts& facts) const;

 private:
  struct CompiledModel {
    ModelRule rule;
    Condition when;
    bool sized;  // it asks for sizes or metadata
  };
  struct CompiledVariant {
    VariantRule rule;
    Condition when;
  };
  void Add(const RuleTable& table);

  ConditionSet conditions_;
  std::vector<CompiledModel> models_;
  std::vector<CompiledVariant> variants_;
  std::vector<std::string> mistakes_;
};

}  // namespace warmset
