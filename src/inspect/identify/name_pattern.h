// Patterns of tensor names, and how many of them are tried on a million names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace warmset {

// Wildcards: '*' any text, also none; '#' a number; '~' a dot or an underscore, as
// names of layers are written with both. All else stands for itself.
bool MatchesName(std::string_view pattern, std::string_view name);

// Every way to choose of each {a,b,...} one: "x.{a,b}" gives "x.a" and "x.b". An
// alternative may be empty. Braces do not nest.
std::vector<std::string> ExpandAlternatives(std::string_view pattern);

// Many patterns, tried together: a name is compared only with those that begin,
// or that end, as it does. Const methods are thread-safe.
class PatternSet {
 public:
  void Add(std::string pattern, uint32_t id);

  // Calls visit(id) for each pattern that matches and whose id is wanted(id), in no
  // order.
  template <typename Wanted, typename Visit>
  void ForEachMatch(std::string_view name, Wanted&& wanted, Visit&& visit) const {
    size_t length = 0;
    for (uint32_t node = heads_.root(); node != kNone; ++length) {
      for (const Entry& entry : heads_.nodes[node].entries) {
        if (wanted(entry.id) && entry.Matches(name.substr(length))) visit(entry.id);
      }
      node = length < name.size() ? heads_.Child(node, name[length]) : kNone;
    }
    length = 0;
    for (uint32_t node = tails_.root(); node != kNone; ++length) {
      const std::string_view rest = name.substr(0, name.size() - length);
      for (const Entry& entry : tails_.nodes[node].entries) {
        if (wanted(entry.id) && entry.Matches(rest)) visit(entry.id);
      }
      node = length < name.size() ? tails_.Child(node, rest.back()) : kNone;
    }
  }

 private:
  static constexpr uint32_t kNone = ~0u;
  struct Entry {
    std::string rest;    // of the pattern, beyond the letters that lead here
    std::string needle;  // its longest stretch of letters, which is looked for first
    uint32_t id;
    bool Matches(std::string_view name) const;
  };
  struct Node {
    std::vector<std::pair<char, uint32_t>> children;
    std::vector<Entry> entries;
  };
  struct Trie {
    uint32_t root() const { return 0; }
    uint32_t Child(uint32_t node, char letter) const {
      for (const auto& [edge, child] : nodes[node].children) {
        if (edge == letter) return child;
      }
      return kNone;
    }
    uint32_t ChildOrNew(uint32_t node, char letter);
    std::vector<Node> nodes = std::vector<Node>(1);
  };

  Trie heads_;  // of patterns that begin with a letter
  Trie tails_;  // of the others, read backwards
};

}  // namespace warmset
