// A model's tensors, taken apart by the prefixes of their names, and what the rules
// ask of them: one pass over the names.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inspect/identify/atlas.h"
#include "inspect/identify/name_set.h"
#include "inspect/identify/rule_book.h"
#include "tensor/tensor_table.h"

namespace warmset {

// The rules for tensors as they are, and for a LoRA's layers; valid for the whole
// program.
const RuleBook& TensorRules();
const RuleBook& LayerRules();

// Where a tensor belongs. Sorts in the order that components are listed in.
struct PartKey {
  enum class Role : uint8_t {
    kDenoiser,
    kVae,
    kTextEncoder,
    kControlNet,
    kFolder,  // of a DDUF archive
    kRest,    // without a prefix that says more
    kEma,
  };
  Role role = Role::kRest;
  std::string label;  // tells those of a role apart, in their order
  friend auto operator<=>(const PartKey&, const PartKey&) = default;
};

struct TensorPart {
  PartKey key;
  std::vector<uint32_t> tensors;  // places in the table; of one table only
  TermHits hits;                  // by TensorRules()
  NameSet names = {};             // without wraps and without a LoRA's
};

// The name without what wraps a whole model's names ("model.", "net.", ...).
std::string_view NormalizedName(std::string_view name);

// Tensors named as LoRAs name theirs.
struct LoraTensors {
  TermHits hits;                   // by LayerRules()
  uint64_t tensors = 0;            // that tell a family
  std::string family;              // "kohya", "PEFT", ...: of the first that tells
  std::string example;             // the first tensor's text
  std::vector<LayerShape> layers;  // of the main model; kMaxLayers at most
  static constexpr size_t kMaxLayers = 4096;
};

// Movable; const methods are thread-safe. The tables must outlive it.
class TensorParts {
 public:
  // archive: names begin with the folder of their component, as in a DDUF file.
  TensorParts(std::span<const TensorTable* const> tables, bool archive);

  // By key.
  const std::vector<TensorPart>& parts() const { return parts_; }
  const TensorPart* Find(PartKey::Role role) const;
  const LoraTensors& lora() const { return lora_; }
  uint64_t other_matrices() const { return other_matrices_; }

 private:
  void AddLayer(const LayerShape& layer);
  bool AddLoraTensor(const TensorView& tensor);
  TensorPart& PartFor(PartKey::Role role, std::string_view label);

  std::vector<TensorPart> parts_;
  size_t last_ = 0;  // the part of the tensor before
  LoraTensors lora_;
  uint64_t other_matrices_ = 0;
};

}  // namespace warmset
