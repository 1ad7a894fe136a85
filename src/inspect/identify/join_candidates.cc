#include "inspect/identify/join_candidates.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <string>

#include "fmt/format.h"
#include "inspect/identify/rules.h"

namespace warmset {
namespace {

constexpr double kLike = 0.8;     // from there on the names decide the family
constexpr double kGuess = 0.6;    // below, likeness names nothing
constexpr double kAsLike = 0.02;  // rows that close to the first can't be told from it
constexpr double kDenied = 0.25;  // of its confidence is left to a rule that the names deny
// Types whose layouts the atlas has all, so that a rule for names that are like none is a
// guess, and those of which it has some.
constexpr std::array<std::string_view, 5> kAllLayouts = {"llm", "text_encoder", "image_encoder",
                                                         "unet", "vae"};
constexpr std::array<std::string_view, 3> kSomeLayouts = {"transformer", "controlnet", "upscaler"};
constexpr double kUnexplained = 0.3;  // of its confidence is left to such a rule
constexpr double kUnknownLayout = 0.8;
constexpr double kSure = 0.95;
constexpr double kUntold = 0.55;  // of the confidence has the first of several that are as like
constexpr double kTold = 0.75;    // at most, when a size or two told it
constexpr uint32_t kManyTells = 3;
constexpr std::string_view kSharesVocabularies = "llm";
// At most, where names alone say it: a newer relative may have the same names. Upscalers had
// none so far.
constexpr double kNamesOnly = 0.75;
constexpr std::string_view kNoRelatives = "upscaler";
// Of a model's elements; with fewer under names that a row has, it is more than that row.
constexpr double kMostElements = 0.9;
constexpr size_t kMaxBases = 3;  // more that have a LoRA's layers tell nothing
// Below, names are those of a relative: confidence falls fast towards it, then slower.
constexpr double kAlmost = 0.95;
constexpr double kSteep = 5;
constexpr double kFlat = 1.5;

bool ByRules(const AtlasRow& row) { return row.name.starts_with('?'); }

std::string EvidenceOf(const Likeness& likeness) {
  const std::string_view words = likeness.row->words;
  const std::string_view first = words.substr(0, words.find_first_of(",}", 1));
  const std::string_view name =
      ByRules(*likeness.row) ? first.substr(first.starts_with('{') ? 1 : 0) : likeness.row->name;
  return fmt::format("{:.0f} % of the names are those of {}, {:.0f} % of its names are there",
                     likeness.explained * 100, name, likeness.complete * 100);
}

std::string_view NameOf(const AtlasRow& row) {
  const std::string_view names = row.name.substr(ByRules(row) ? 1 : 0);
  return names.substr(0, names.find('|'));
}

// The row's architectures are related to that one, or there is none.
bool Has(const AtlasRow& row, std::string_view name) {
  bool has = name.empty();
  ForEachWord(row.name.substr(ByRules(row) ? 1 : 0), '|',
              [&](std::string_view each) { has = has || IsRelated(each, name); });
  return has;
}

// One for each architecture of rows that are equally like, which share the confidence:
// shapes as in the library's defaults tell them apart, else the best known comes first.
std::vector<Candidate> CandidatesOf(std::vector<Likeness> rows) {
  const bool by_sizes = std::any_of(rows.begin(), rows.end(), [&](const Likeness& each) {
    return !Has(*each.row, NameOf(*rows[0].row));  // relatives that sizes may tell apart
  });
  // Language models with the same names have each other's vocabularies.
  const auto is_sized = [&](const Likeness& each) {
    return by_sizes && each.sized && each.row->type != kSharesVocabularies;
  };
  const auto is_told = [&](const Likeness& each) {
    return (each.tells > 0 && each.told == each.tells) || is_sized(each);
  };
  double most = kUntold;
  if (ByRules(*rows[0].row)) rows.resize(1);
  if (std::any_of(rows.begin(), rows.end(), is_told)) {
    const bool any_sized = std::any_of(rows.begin(), rows.end(), is_sized);
    std::erase_if(rows, [&](const Likeness& each) {
      return !is_told(each) && (each.tells > 0 || (any_sized && !each.row->sizes.empty()));
    });
    const bool many = rows[0].tells >= kManyTells && rows[0].told == rows[0].tells;
    if (is_told(rows[0])) most = many ? kSure : kTold;
  }
  std::vector<Candidate> candidates;
  for (const Likeness& each : rows) {
    const auto add = [&](std::string_view name) {
      const std::string_view type = each.row->type;
      // Rows of one name are layouts of it: the likest counts.
      const auto same = [&](const Candidate& other) {
        return other.name == name && other.type == type;
      };
      if (std::any_of(candidates.begin(), candidates.end(), same)) return;
      candidates.push_back({std::string(name),
                            std::string(name),
                            std::string(type),
                            ConfidenceOf(each),
                            {EvidenceOf(each)},
                            std::string(RowOfType(type).lacks),
                            each.sized && each.bulk >= kMostElements});
    };
    if (ByRules(*each.row)) {
      add("");
    } else {
      ForEachWord(each.row->name, '|', add);
    }
  }
  if (candidates.size() == 1) {
    if (most != kUntold) candidates[0].confidence = std::min(candidates[0].confidence, most);
    return candidates;
  }
  const double rest = (1 - most) / static_cast<double>(candidates.size() - 1);
  for (Candidate& each : candidates) {
    each.confidence *= &each == &candidates[0] ? most : rest;
  }
  return candidates;
}

// What is left of the confidence of a rule.
double Left(const Candidate& candidate, std::span<const Likeness> by_names, bool decided,
            std::span<const Likeness> first, bool own_names) {
  const auto supports = [&](const Likeness& each) {
    return each.row->type == candidate.type && Has(*each.row, candidate.name);
  };
  if (decided) {
    return std::any_of(first.begin(), first.end(), supports) ? 1 : kDenied;
  }
  double explained = 0;
  for (const Likeness& each : by_names) {
    if (supports(each)) explained = std::max(explained, each.explained);
  }
  if (explained > 0) return explained;
  const auto is_type = [&](std::string_view type) { return type == candidate.type; };
  if (own_names) return 1;
  if (std::any_of(kAllLayouts.begin(), kAllLayouts.end(), is_type)) return kUnexplained;
  return std::any_of(kSomeLayouts.begin(), kSomeLayouts.end(), is_type) ? kUnknownLayout : 1;
}

// A rule that tells the type only keeps as much as the best one that names a model of it.
void LowerConfidence(std::vector<Candidate>& candidates, std::span<const Likeness> by_names,
                     bool decided, std::span<const Likeness> first, bool own_names) {
  std::map<std::string, double> most;  // by type
  for (Candidate& each : candidates) {
    if (each.name.empty()) continue;
    const double left = Left(each, by_names, decided, first, own_names);
    each.confidence *= left;
    most[each.type] = std::max(most[each.type], left);
  }
  for (Candidate& each : candidates) {
    if (!each.name.empty()) continue;
    const auto named = most.find(each.type);
    if (named != most.end()) {
      each.confidence *= named->second;
    } else if (decided) {
      each.confidence *= Left(each, by_names, decided, first, own_names);
    }
  }
}

// Whether no row is of another family than that of the name, or one leaves it to rules.
bool AllAre(std::span<const Likeness> rows, std::string_view name) {
  const auto has = [&](const Likeness& each) { return Has(*each.row, name); };
  const auto leaves = [&](const Likeness& each) { return ByRules(*each.row) && has(each); };
  return std::all_of(rows.begin(), rows.end(), has) ||
         (!name.empty() && std::any_of(rows.begin(), rows.end(), leaves));
}

void CapUnsized(std::vector<Candidate>& candidates) {
  for (Candidate& each : candidates) {
    if (each.sized || each.name.empty() || each.type == kNoRelatives) continue;
    each.confidence = std::min(each.confidence, kNamesOnly);
  }
}

}  // namespace

bool IsRelated(std::string_view a, std::string_view b) {
  return a == b || IsRefinement(a, b) || IsRefinement(b, a);
}

double ConfidenceOf(const Likeness& likeness) {
  const double to_almost = std::max(likeness.value(), kAlmost);
  const double below = std::max(0.0, kAlmost - likeness.value());
  return std::max(0.0, kSure - kSteep * (1 - to_almost) - kFlat * below);
}

std::vector<Candidate> JoinCandidates(std::vector<Candidate> by_rules,
                                      std::span<const Likeness> by_names, bool own_names) {
  const double best = by_names.empty() ? 0 : by_names[0].value();
  const auto is_first = [best](const Likeness& each) { return each.value() >= best - kAsLike; };
  std::vector<Likeness> first;
  std::copy_if(by_names.begin(), by_names.end(), std::back_inserter(first), is_first);
  LowerConfidence(by_rules, by_names, best >= kLike, first, own_names);
  std::vector<Candidate> joined = std::move(by_rules);
  if (best < kGuess) {
    RankCandidates(joined);
    if (!own_names) CapUnsized(joined);
    return joined;
  }
  for (Candidate& each : CandidatesOf(first)) {
    const auto known = std::find_if(joined.begin(), joined.end(), [&](const Candidate& other) {
      return other.name == each.name && other.type == each.type;
    });
    if (known == joined.end()) {
      joined.push_back(std::move(each));
      continue;
    }
    // A rule's guess among relatives is no second reason for the best known of them.
    const double most = std::max(known->confidence, each.confidence);
    AddEvidence(*known, each.confidence, each.evidence);
    known->sized = known->sized || each.sized;
    if (!AllAre(first, known->name)) known->confidence = most;
  }
  RankCandidates(joined);
  // A rule does not tell relatives apart that have the same names, or almost.
  for (Candidate& each : joined) {
    if (best < kAlmost || !AllAre(first, each.name)) {
      each.confidence = std::min(each.confidence, kTold);
    }
  }
  CapUnsized(joined);
  return joined;
}

std::vector<Candidate> BasesWithLayers(const Atlas& atlas, std::span<const LayerShape> layers) {
  std::vector<Candidate> bases;
  std::vector<Likeness> rows = atlas.MatchLayers(layers);
  if (rows.empty() || rows[0].explained < kLike) return bases;
  std::erase_if(rows, [least = rows[0].explained - kAsLike](const Likeness& each) {
    const std::string_view type = each.row->type;
    // What steers a model has its layers, too.
    const bool is_base =
        type == "unet" || type == "transformer" || type == "llm" || type == "prior";
    return each.explained < least || !is_base || ByRules(*each.row);
  });
  for (const Likeness& each : rows) {
    ForEachWord(each.row->name, '|', [&](std::string_view name) {
      const bool known = std::any_of(bases.begin(), bases.end(), [&](const Candidate& other) {
        return IsRelated(other.name, name);
      });
      if (known) return;
      bases.push_back(
          {std::string(name),
           std::string(name),
           "lora",
           kUntold,
           {fmt::format("{:.0f} % of the layers are those of {}", each.explained * 100, name)}});
    });
  }
  if (bases.size() > kMaxBases) return {};
  for (Candidate& each : bases) each.confidence /= static_cast<double>(bases.size());
  return bases;
}

}  // namespace warmset
