// From what a user typed to the names of models.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace warmset {

// How well a name fits, the better the greater.
enum class NameFit {
  kNone,
  kFoldedStart,  // begins so, or its last part does, without regard to case, '_' and '-'
  kPartStart,    // its last part begins so
  kStart,        // it begins so
  kFoldedWhole,  // as kWhole without regard to case, '_' and '-'
  kWhole,        // its last part, or either without the extension or ":latest"
};

// One text, compared with many names. Not thread-safe.
class NameSearch {
 public:
  explicit NameSearch(std::string_view text);

  NameFit FitOf(std::string_view name) const;

  // Offers a name that does not fit: it is kept if it is among the most similar
  // ones, which hold the text or begin with something that is a slip or two away.
  void Offer(std::string_view name);
  // The most similar first; at most kMaxSimilar.
  std::vector<std::string> TakeSimilar();

  static constexpr size_t kMaxSimilar = 10;

 private:
  struct Similar {
    size_t distance = 0;
    std::string name;
    friend auto operator<=>(const Similar&, const Similar&) = default;
  };

  const std::string text_;
  const std::string folded_;
  const std::string folded_last_;  // of its last part
  std::vector<Similar> similar_;   // sorted
};

}  // namespace warmset
