#include "base/nearest.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/edit_distance.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset {
namespace {

constexpr size_t kMostNear = 3;
constexpr size_t kLeastContained = 3;  // letters: "a" is in most words

// A word with more slips than this was another word.
size_t MostEdits(std::string_view text) { return std::max<size_t>(1, (text.size() + 1) / 3); }

size_t Distance(const std::string& text, const std::string& candidate) {
  const std::string& shorter = text.size() < candidate.size() ? text : candidate;
  const std::string& longer = text.size() < candidate.size() ? candidate : text;
  if (shorter.size() >= kLeastContained && longer.find(shorter) != std::string::npos) return 0;
  return EditDistance(text, candidate);
}

}  // namespace

std::vector<std::string_view> NearTo(std::string_view text,
                                     std::span<const std::string_view> candidates) {
  const std::string wanted = LowerCase(text);
  std::vector<std::pair<size_t, std::string_view>> near;
  for (const std::string_view candidate : candidates) {
    const size_t distance = Distance(wanted, LowerCase(candidate));
    if (distance <= MostEdits(wanted)) near.emplace_back(distance, candidate);
  }
  std::stable_sort(near.begin(), near.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  near.resize(std::min(near.size(), kMostNear));
  std::vector<std::string_view> words;
  for (const auto& [distance, word] : near) words.push_back(word);
  return words;
}

std::string NearText(std::string_view text, std::span<const std::string_view> candidates) {
  std::vector<std::string> quoted;
  for (const std::string_view word : NearTo(text, candidates)) {
    quoted.push_back(fmt::format("'{}'", word));
  }
  if (quoted.empty()) return "";
  return fmt::format("; the nearest {} {}", quoted.size() == 1 ? "is" : "are",
                     fmt::join(quoted, ", "));
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

}  // namespace warmset
