// The atlas: architectures by the names of all their tensors, generated from the
// libraries that define them. docs/design/identify.md says how likeness is counted.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inspect/identify/hash_index.h"
#include "inspect/identify/name_set.h"

namespace warmset {

// A row of atlas.inc. Expressions of names are written as in atlas_expression.h.
struct AtlasRow {
  // Of the architecture, names with '|' between; behind '?', those that only rules tell.
  std::string_view name;
  std::string_view type;    // of the component, see TypeRows()
  std::string_view words;   // an expression: classes and model types of configurations
  std::string_view prefix;  // that heads put before the names of the base model, or empty
  uint32_t width;           // the commonest dim of its matrices in the library's defaults
  std::string_view core;    // names that every model of it has
  std::string_view more;    // names that some have
  // Sizes by default that its relatives do not have, "name[dim]=size" with commas between.
  std::string_view tells;
  // Sizes by default that hardly any architecture has, likewise.
  std::string_view sizes = "";
};

// How like a row a group of tensors is, both from 0 to 1. Rare names weigh more.
struct Likeness {
  const AtlasRow* row = nullptr;
  double explained = 0;  // of the group's names
  double complete = 0;   // of the row's core
  double bulk = 0;       // of the group's elements, those under names that the row has
  double typical = 0;    // of the group's names, those of the row's core; in quarters
  uint32_t tells = 0;    // that the row has; only of the likest rows
  uint32_t told = 0;     // those that the group's shapes fulfil
  bool sized = false;    // the row has sizes, and the group's shapes have all of them
  double value() const { return explained < complete ? explained : complete; }
};

// A layer of a model, as a LoRA names it: '.' and '_' are alike. 0: not told.
struct LayerShape {
  std::string_view name;
  uint64_t out = 0;
  uint64_t in = 0;
};

// Const methods are thread-safe. Rows and shared expressions must outlive it.
class Atlas {
 public:
  // shared: what expressions refer to as "$0", "$1", ...
  Atlas(std::span<const AtlasRow> rows, std::span<const std::string_view> shared);

  // The generated table; valid for the whole program.
  static const Atlas& Builtin();
  // What it is made of, for measures with some rows left out.
  static std::span<const AtlasRow> BuiltinRows();
  static std::span<const std::string_view> BuiltinShared();

  // The rows that explain some of the names: the kSorted likest ones first, in order, the
  // others in none.
  std::vector<Likeness> Match(const NameSet& names) const;

  // The rows with these layers, likest first: `explained` is the share of layers that
  // a row has under that name and in a width that fits, `complete` is 1.
  std::vector<Likeness> MatchLayers(std::span<const LayerShape> layers) const;

  // The rows of a configuration's class or model type.
  std::span<const AtlasRow* const> FindWord(std::string_view word) const;

  std::span<const AtlasRow> rows() const { return rows_; }

  static constexpr size_t kSorted = 48;

 private:
  // A row that has a name.
  struct Posting {
    uint32_t row;
    bool more;           // it is not in the row's core
    uint64_t plain;      // the name's hash without the row's prefix
    double core_weight;  // of that one; 0 when it is not in the row's core
    friend auto operator<=>(const Posting&, const Posting&) = default;
  };
  // "name[dim]=size" of a row.
  struct Tell {
    std::array<uint64_t, 2> names;  // hashes without and with the row's prefix
    size_t dim;
    uint64_t size;
  };
  struct Tells {
    std::vector<Tell> tells;
    std::vector<Tell> sizes;
  };

  void AddNames(uint32_t row, std::string_view expression, bool core,
                std::span<const std::string_view> shared);
  void WeighNames();
  // The rarer the name, the more.
  double WeightOf(size_t rows_with_it) const;
  void CountTells(const NameSet& names, Likeness& likeness) const;
  static std::vector<Tell> TellsOf(std::string_view text, std::string_view prefix);
  static size_t Told(const NameSet& names, std::span<const Tell> tells);

  std::span<const AtlasRow> rows_;
  HashIndex<Posting> names_;          // by HashOfName()
  HashIndex<uint32_t> layers_;        // rows by HashOfLayer()
  std::vector<double> core_weights_;  // by row
  std::vector<Tells> tells_;          // by row
  double unknown_weight_ = 0;         // of a name that no row has
  std::map<std::string, std::vector<const AtlasRow*>, std::less<>> words_;
};

}  // namespace warmset
