#include "inspect/identify/atlas.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "inspect/identify/atlas_expression.h"
#include "inspect/identify/tensor_parts.h"

namespace warmset {
namespace {

using std::string_view_literals::operator""sv;  // in the tables

constexpr AtlasRow kRows[] = {
#include "inspect/identify/atlas_rows.inc"
};
constexpr std::string_view kShared[] = {
#include "inspect/identify/atlas_shared.inc"
};

constexpr std::string_view kWeight = ".weight";
constexpr size_t kMatrixRank = 2;
constexpr double kTypicalSteps = 4;  // a name or two make no difference
// A group explains itself by less than that: no use.
constexpr double kLeast = 0.3;

// Sums of weights in another order differ in their last digits.
double Rounded(double value) { return std::round(value * 1e6) * 1e-6; }

void SortLikest(std::vector<Likeness>& matches) {
  const size_t sorted = std::min(matches.size(), size_t{Atlas::kSorted});
  std::partial_sort(matches.begin(), matches.begin() + static_cast<ptrdiff_t>(sorted),
                    matches.end(), [](const Likeness& a, const Likeness& b) {
                      if (a.value() != b.value()) return a.value() > b.value();
                      const double sum_a = a.explained + a.complete;
                      const double sum_b = b.explained + b.complete;
                      if (sum_a != sum_b) return sum_a > sum_b;
                      return a.typical != b.typical ? a.typical > b.typical : a.row < b.row;
                    });
}

// Whether a matrix of that shape is one of a model of that width.
bool FitsWidth(const LayerShape& layer, uint64_t width) {
  if (width == 0 || (layer.out == 0 && layer.in == 0)) return true;
  const auto multiple = [width](uint64_t dim) { return dim != 0 && dim % width == 0; };
  return multiple(layer.out) || multiple(layer.in);
}

}  // namespace

Atlas::Atlas(std::span<const AtlasRow> rows, std::span<const std::string_view> shared)
    : rows_(rows), core_weights_(rows.size()), tells_(rows.size()) {
  for (uint32_t i = 0; i < rows.size(); ++i) {
    AddNames(i, rows[i].core, true, shared);
    AddNames(i, rows[i].more, false, shared);
    tells_[i] = {TellsOf(rows[i].tells, rows[i].prefix), TellsOf(rows[i].sizes, rows[i].prefix)};
    ExpandNames(rows[i].words, shared,
                [&](const std::string& word, size_t) { words_[word].push_back(&rows[i]); });
  }
  WeighNames();
}

const Atlas& Atlas::Builtin() {
  static const Atlas* const atlas = new Atlas(kRows, kShared);
  return *atlas;
}

std::span<const AtlasRow> Atlas::BuiltinRows() { return kRows; }
std::span<const std::string_view> Atlas::BuiltinShared() { return kShared; }

void Atlas::AddNames(uint32_t row, std::string_view expression, bool core,
                     std::span<const std::string_view> shared) {
  const auto add = [&](std::string_view name, size_t rank, uint64_t plain) {
    names_.Add(HashOfName(NormalizedName(name), rank), {row, !core, plain, 0});
    if (rank < kMatrixRank || !name.ends_with(kWeight)) return;
    name.remove_suffix(kWeight.size());
    layers_.Add(HashOfLayer(name), row);
  };
  const std::string prefix(rows_[row].prefix);
  ExpandNames(expression, shared, [&](const std::string& name, size_t rank) {
    const uint64_t plain = HashOfName(NormalizedName(name), rank);
    add(name, rank, plain);
    if (!prefix.empty()) add(prefix + "." + name, rank, plain);
  });
}

std::vector<Atlas::Tell> Atlas::TellsOf(std::string_view text, std::string_view prefix) {
  std::vector<Tell> tells;
  ForEachWord(text, ',', [&](std::string_view word) {
    const size_t bracket = word.find('[');
    const size_t equals = word.find('=', bracket);
    Tell tell{};
    std::from_chars(&word[bracket + 1], word.data() + equals, tell.dim);
    std::from_chars(&word[equals + 1], word.data() + word.size(), tell.size);
    ExpandNames(word.substr(0, bracket), {}, [&](const std::string& name, size_t rank) {
      tell.names = {HashOfName(NormalizedName(name), rank),
                    HashOfName(NormalizedName(std::string(prefix) + "." + name), rank)};
    });
    tells.push_back(tell);
  });
  return tells;
}

size_t Atlas::Told(const NameSet& names, std::span<const Tell> tells) {
  size_t told = 0;
  for (const Tell& tell : tells) {
    for (const uint64_t hash : tell.names) {
      const auto found = names.names().find(hash);
      if (found == names.names().end()) continue;
      const auto& shape = found->second.shape;
      if (tell.dim < shape.size() && shape[tell.dim] == tell.size) ++told;
      break;
    }
  }
  return told;
}

void Atlas::CountTells(const NameSet& names, Likeness& likeness) const {
  const Tells& of = tells_[static_cast<size_t>(likeness.row - rows_.data())];
  likeness.tells = static_cast<uint32_t>(of.tells.size());
  likeness.told = static_cast<uint32_t>(Told(names, of.tells));
  likeness.sized = !of.sizes.empty() && Told(names, of.sizes) == of.sizes.size();
}

double Atlas::WeightOf(size_t rows_with_it) const {
  return std::log(1 + static_cast<double>(rows_.size()) / static_cast<double>(rows_with_it));
}

void Atlas::WeighNames() {
  names_.Sort([](const Posting& a, const Posting& b) { return a.row == b.row; });
  layers_.Sort([](uint32_t a, uint32_t b) { return a == b; });
  unknown_weight_ = WeightOf(1);
  for (auto& entry : names_.entries()) {
    Posting& posting = entry.value;
    if (posting.more) continue;
    posting.core_weight = WeightOf(names_.Find(posting.plain).size());
    if (posting.plain == entry.hash) core_weights_[posting.row] += posting.core_weight;
  }
}

std::vector<Likeness> Atlas::Match(const NameSet& names) const {
  struct Sums {
    double explained = 0;
    double elements = 0;
    double core = 0;
    double typical = 0;
  };
  std::vector<Sums> sums(rows_.size());
  double all = static_cast<double>(names.left_out()) * unknown_weight_;
  double all_elements = 0;
  for (const auto& [hash, name] : names.names()) {
    const auto postings = names_.Find(name.weight);
    if (postings.empty()) {
      if (name.packing) continue;
      all += unknown_weight_;
      all_elements += name.elements;
      continue;
    }
    all_elements += name.elements;
    const double weight = WeightOf(postings.size());
    all += weight;
    for (const auto& [_, posting] : postings) {
      sums[posting.row].explained += weight;
      sums[posting.row].elements += name.elements;
      if (posting.more) continue;
      sums[posting.row].core += posting.core_weight;
      sums[posting.row].typical += weight;
    }
  }
  std::vector<Likeness> matches;
  if (all == 0) return matches;
  for (size_t row = 0; row < rows_.size(); ++row) {
    const double explained = sums[row].explained / all;
    if (explained < kLeast || core_weights_[row] == 0) continue;
    matches.push_back({&rows_[row], Rounded(explained),
                       Rounded(std::min(1.0, sums[row].core / core_weights_[row])),
                       all_elements == 0 ? 1 : sums[row].elements / all_elements,
                       std::round(sums[row].typical / all * kTypicalSteps) / kTypicalSteps});
  }
  SortLikest(matches);
  for (size_t i = 0; i < std::min(matches.size(), size_t{kSorted}); ++i) {
    CountTells(names, matches[i]);
  }
  return matches;
}

std::vector<Likeness> Atlas::MatchLayers(std::span<const LayerShape> layers) const {
  std::vector<uint64_t> fitting(rows_.size());
  for (const LayerShape& layer : layers) {
    for (const auto& [_, row] : layers_.Find(HashOfLayer(layer.name))) {
      if (FitsWidth(layer, rows_[row].width)) ++fitting[row];
    }
  }
  std::vector<Likeness> matches;
  for (size_t row = 0; row < rows_.size(); ++row) {
    if (fitting[row] == 0) continue;
    const double share = static_cast<double>(fitting[row]) / static_cast<double>(layers.size());
    matches.push_back({&rows_[row], share, 1});
  }
  SortLikest(matches);
  return matches;
}

std::span<const AtlasRow* const> Atlas::FindWord(std::string_view word) const {
  const auto found = words_.find(word);
  if (found == words_.end()) return {};
  return found->second;
}

}  // namespace warmset
