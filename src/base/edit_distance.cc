#include "base/edit_distance.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

namespace warmset {
namespace {

// The distances of all of `a` to each beginning of `b`.
std::vector<size_t> DistancesToStarts(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  std::vector<size_t> above(row.size());
  std::vector<size_t> two_above(row.size());
  for (size_t i = 1; i <= a.size(); ++i) {
    std::swap(above, two_above);
    std::swap(row, above);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replaced, row[j - 1] + 1, above[j] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], two_above[j - 2] + 1);
    }
  }
  return row;
}

}  // namespace

size_t EditDistance(std::string_view a, std::string_view b) {
  return DistancesToStarts(a, b).back();
}

size_t EditDistanceToStart(std::string_view a, std::string_view b) {
  // A beginning that is twice as long is as far as the empty one.
  const std::vector<size_t> distances = DistancesToStarts(a, b.substr(0, 2 * a.size()));
  return *std::min_element(distances.begin(), distances.end());
}

}  // namespace warmset
