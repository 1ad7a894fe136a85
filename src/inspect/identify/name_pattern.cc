#include "inspect/identify/name_pattern.h"

#include <algorithm>
#include <cstring>

namespace warmset {
namespace {

constexpr std::string_view kWildcards = "*#~";

// The longest stretch without wildcards.
std::string LongestLiteral(std::string_view pattern) {
  std::string_view longest;
  while (!pattern.empty()) {
    const std::string_view literal = pattern.substr(0, pattern.find_first_of(kWildcards));
    if (literal.size() > longest.size()) longest = literal;
    pattern.remove_prefix(std::min(pattern.size(), literal.size() + 1));
  }
  return std::string(longest);
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool MatchesName(std::string_view pattern, std::string_view name) {
  // Greedy, and back to the last star only: any match can be found that way.
  size_t p = 0;
  size_t n = 0;
  size_t star = std::string_view::npos;
  size_t after_star = 0;  // where in the name the pattern goes on after that star
  while (true) {
    bool same = false;
    if (p == pattern.size()) {
      if (n == name.size()) return true;
    } else if (pattern[p] == '*') {
      if (p + 1 == pattern.size()) return true;
      star = p++;
      after_star = n;
      same = true;
    } else if (n < name.size()) {
      same = pattern[p] == '#'   ? IsDigit(name[n])
             : pattern[p] == '~' ? name[n] == '.' || name[n] == '_'
                                 : pattern[p] == name[n];
      if (same) {
        ++n;
        while (pattern[p] == '#' && n < name.size() && IsDigit(name[n])) ++n;
        ++p;
      }
    }
    if (same) continue;
    if (star == std::string_view::npos || after_star == name.size()) return false;
    n = ++after_star;
    p = star + 1;
  }
}

std::vector<std::string> ExpandAlternatives(std::string_view pattern) {
  std::vector<std::string> expanded = {""};
  const auto append = [&](std::string_view text) {
    for (std::string& each : expanded) each += text;
  };
  while (true) {
    const size_t open = pattern.find('{');
    const size_t close = pattern.find('}', open);
    append(pattern.substr(0, open));
    if (close == std::string_view::npos) return expanded;
    std::string_view choices = pattern.substr(open + 1, close - open - 1);
    std::vector<std::string> longer;
    for (bool more = true; more;) {
      const size_t comma = choices.find(',');
      more = comma != std::string_view::npos;
      for (const std::string& each : expanded) {
        longer.push_back(each + std::string(choices.substr(0, comma)));
      }
      if (more) choices.remove_prefix(comma + 1);
    }
    expanded = std::move(longer);
    pattern.remove_prefix(close + 1);
  }
}

bool PatternSet::Entry::Matches(std::string_view name) const {
  if (rest.empty()) return name.empty();
  if (rest == "*") return true;
  if (!needle.empty() &&
      ::memmem(name.data(), name.size(), needle.data(), needle.size()) == nullptr) {
    return false;
  }
  return MatchesName(rest, name);
}

uint32_t PatternSet::Trie::ChildOrNew(uint32_t node, char letter) {
  if (const uint32_t child = Child(node, letter); child != kNone) return child;
  const auto made = static_cast<uint32_t>(nodes.size());
  nodes[node].children.emplace_back(letter, made);
  nodes.emplace_back();
  return made;
}

void PatternSet::Add(std::string pattern, uint32_t id) {
  uint32_t node = 0;
  const size_t head = pattern.find_first_of(kWildcards);
  if (head != 0) {
    for (const char letter : pattern.substr(0, head)) node = heads_.ChildOrNew(node, letter);
    pattern = head == std::string::npos ? "" : pattern.substr(head);
    std::string needle = LongestLiteral(pattern);
    heads_.nodes[node].entries.push_back({std::move(pattern), std::move(needle), id});
    return;
  }
  while (kWildcards.find(pattern.back()) == std::string_view::npos) {
    node = tails_.ChildOrNew(node, pattern.back());
    pattern.pop_back();
  }
  std::string needle = LongestLiteral(pattern);
  tails_.nodes[node].entries.push_back({std::move(pattern), std::move(needle), id});
}

}  // namespace warmset
