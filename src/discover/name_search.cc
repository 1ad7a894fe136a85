#include "discover/name_search.h"

#include <algorithm>
#include <utility>

#include "base/edit_distance.h"
#include "inspect/weight_sets.h"

namespace warmset {
namespace {

constexpr std::string_view kLatest = ":latest";
// More slips than this make another word of it.
constexpr size_t kMaxSlips = 3;
constexpr size_t kLettersPerSlip = 4;

char Fold(char c) {
  if (c == '_' || c == ' ') return '-';
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Lower case, with '_' and ' ' as '-': how names are compared when nothing else fits.
std::string Folded(std::string_view name) {
  std::string folded(name);
  std::transform(folded.begin(), folded.end(), folded.begin(), Fold);
  return folded;
}

bool FoldsTo(std::string_view name, std::string_view folded) {
  return name.size() == folded.size() && std::equal(name.begin(), name.end(), folded.begin(),
                                                    [](char a, char b) { return Fold(a) == b; });
}

bool StartFoldsTo(std::string_view name, std::string_view folded) {
  return FoldsTo(name.substr(0, folded.size()), folded);
}

std::string_view LastPart(std::string_view name) { return name.substr(name.rfind('/') + 1); }

// The name without what says how it is stored; the same where nothing does.
std::string_view StemOf(std::string_view name) {
  if (name.ends_with(kLatest)) return name.substr(0, name.size() - kLatest.size());
  return MayBeWeightsFile(LastPart(name)) ? name.substr(0, name.rfind('.')) : name;
}

}  // namespace

NameSearch::NameSearch(std::string_view text)
    : text_(text), folded_(Folded(text)), folded_last_(LastPart(folded_)) {}

NameFit NameSearch::FitOf(std::string_view name) const {
  const std::string_view last = LastPart(name);
  const bool in_part = StartFoldsTo(last, folded_);
  if (!in_part && !StartFoldsTo(name, folded_)) return NameFit::kNone;
  const std::string_view stem = StemOf(name);
  const std::string_view last_stem = LastPart(stem);
  if (last == text_ || stem == text_ || last_stem == text_) return NameFit::kWhole;
  if (FoldsTo(name, folded_) || FoldsTo(last, folded_) || FoldsTo(stem, folded_) ||
      FoldsTo(last_stem, folded_)) {
    return NameFit::kFoldedWhole;
  }
  if (name.starts_with(text_)) return NameFit::kStart;
  return last.starts_with(text_) ? NameFit::kPartStart : NameFit::kFoldedStart;
}

void NameSearch::Offer(std::string_view name) {
  if (folded_last_.empty()) return;
  const std::string folded = Folded(name);
  size_t distance = 0;
  if (folded.find(folded_last_) == std::string::npos) {
    distance = EditDistanceToStart(folded_last_, LastPart(folded));
    const size_t most = std::min(kMaxSlips, folded_last_.size() / kLettersPerSlip);
    if (distance > most) return;
  }
  Similar similar{distance, std::string(name)};
  similar_.insert(std::upper_bound(similar_.begin(), similar_.end(), similar), std::move(similar));
  if (similar_.size() > kMaxSimilar) similar_.pop_back();
}

std::vector<std::string> NameSearch::TakeSimilar() {
  std::vector<std::string> names;
  for (Similar& similar : similar_) names.push_back(std::move(similar.name));
  similar_.clear();
  return names;
}

}  // namespace warmset
