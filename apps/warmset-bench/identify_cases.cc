// identify-cases: what models are, with some architectures' rows left out of the atlas, as
// if no library had them. A file of cases has a word and its values a line, with tabs between:
//
//   case NAME             begins one; what follows belongs to it
//   without ARCHITECTURE  rows of that name are left out
//   file NAME             of the model's file
//   class NAME            that its configuration names
//   model_type NAME       likewise
//   tensor NAME DIM...
#include <charconv>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "benchmarks.h"
#include "fmt/format.h"
#include "inspect/identify/atlas.h"
#include "inspect/identify/identify.h"
#include "inspect/identify/rule_book.h"
#include "json.h"
#include "tensor/tensor_table.h"

namespace warmset::bench {
namespace {

struct Case {
  std::string name;
  std::set<std::string> without;
  std::string file;
  std::string class_name;
  std::string model_type;
  TensorTable tensors;
};

// The built-in atlas without the rows of some architectures.
class PartialAtlas {
 public:
  explicit PartialAtlas(std::set<std::string> without)
      : without_(std::move(without)),
        rows_(RowsWithout(without_)),
        atlas_(rows_, Atlas::BuiltinShared()) {}
  const std::set<std::string>& without() const { return without_; }
  const Atlas& atlas() const { return atlas_; }

 private:
  static std::vector<AtlasRow> RowsWithout(const std::set<std::string>& names) {
    std::vector<AtlasRow> rows;
    for (const AtlasRow& row : Atlas::BuiltinRows()) {
      bool left_out = false;
      ForEachWord(
          row.name.substr(row.name.starts_with('?') ? 1 : 0), '|',
          [&](std::string_view name) { left_out = left_out || names.contains(std::string(name)); });
      if (!left_out) rows.push_back(row);
    }
    return rows;
  }

  std::set<std::string> without_;
  std::vector<AtlasRow> rows_;
  Atlas atlas_;
};

std::vector<std::string> Words(const std::string& line) {
  std::vector<std::string> words;
  ForEachWord(line, '\t', [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

Status AddTensor(Case& to, const std::vector<std::string>& words) {
  std::vector<uint64_t> shape;
  for (size_t i = 2; i < words.size(); ++i) {
    uint64_t dim = 0;
    std::from_chars(words[i].data(), words[i].data() + words[i].size(), dim);
    shape.push_back(dim);
  }
  TensorView tensor;
  tensor.name = words[1];
  tensor.dtype = DType::kBF16;
  tensor.shape = shape;
  return to.tensors.Add(tensor);
}

void Print(const Case& of, const Atlas& atlas) {
  const TensorTable* const tables[] = {&of.tensors};
  const Identification found = Identify({.tensors = tables,
                                         .format = "safetensors",
                                         .file_name = of.file,
                                         .class_name = of.class_name,
                                         .model_type = of.model_type,
                                         .atlas = &atlas});
  Json json;
  json.Add("name", of.name).Add("kind", found.kind);
  json.Add("architecture", "").Add("confidence", 0.0);
  if (!found.architectures.empty()) {
    const Architecture& first = found.architectures[0];
    json = Json();
    json.Add("name", of.name).Add("kind", found.kind);
    json.Add("architecture", first.name).Add("confidence", first.confidence);
    if (!first.evidence.empty()) json.Add("evidence", first.evidence.back());
  }
  fmt::print("{}\n", json.Text());
}

}  // namespace

Status RunIdentifyCases(const IdentifyCasesOptions& options) {
  std::ifstream file(options.file);
  if (!file) return Error(ErrorCode::kFileNotFound, fmt::format("cannot read {}", options.file));
  std::unique_ptr<PartialAtlas> atlas;
  std::optional<Case> current;
  const auto end_case = [&] {
    if (!current) return;
    // Cases of one family follow each other.
    if (atlas == nullptr || atlas->without() != current->without) {
      atlas = std::make_unique<PartialAtlas>(current->without);
    }
    Print(*current, atlas->atlas());
    current.reset();
  };
  std::string line;
  while (std::getline(file, line)) {
    const std::vector<std::string> words = Words(line);
    if (words.size() < 2) continue;
    if (words[0] == "case") {
      end_case();
      current.emplace().name = words[1];
    }
    if (!current) return Error(ErrorCode::kInvalidRequest, "the first line begins no case");
    if (words[0] == "without") current->without.insert(words[1]);
    if (words[0] == "file") current->file = words[1];
    if (words[0] == "class") current->class_name = words[1];
    if (words[0] == "model_type") current->model_type = words[1];
    if (words[0] == "tensor") RETURN_IF_ERROR(AddTensor(*current, words));
  }
  end_case();
  return OkStatus();
}

}  // namespace warmset::bench
