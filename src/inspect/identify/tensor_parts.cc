#include "inspect/identify/tensor_parts.h"

#include <algorithm>
#include <array>

namespace warmset {
namespace {

using Role = PartKey::Role;

// A file that names more parts has no such parts: the others are its rest.
constexpr size_t kMaxParts = 32;

// Prefixes that are looked for in a million names, most of which begin as none does.
template <size_t kSize>
class Prefixes {
 public:
  constexpr explicit Prefixes(const std::array<std::string_view, kSize>& prefixes)
      : prefixes_(prefixes) {
    for (const std::string_view prefix : prefixes) letters_ |= LetterOf(prefix);
  }

  // The place of the first one that the name has; kSize when it has none.
  constexpr size_t Find(std::string_view name) const {
    if (name.empty() || (letters_ & LetterOf(name)) == 0) return kSize;
    for (size_t i = 0; i < kSize; ++i) {
      if (prefixes_[i].front() == name.front() && name.starts_with(prefixes_[i])) return i;
    }
    return kSize;
  }
  constexpr bool Has(std::string_view name) const { return Find(name) != kSize; }
  constexpr std::string_view operator[](size_t place) const { return prefixes_[place]; }

 private:
  // Letters 64 apart share a bit.
  static constexpr uint64_t LetterOf(std::string_view name) {
    return uint64_t{1} << (static_cast<unsigned char>(name.front()) & 63);
  }
  std::array<std::string_view, kSize> prefixes_;
  uint64_t letters_ = 0;
};

struct PartPrefix {
  std::string_view prefix;
  Role role;
  bool labelled = false;  // what follows, up to a dot, tells the parts apart
};
constexpr std::array kPartPrefixes = {
    PartPrefix{"model.diffusion_model.", Role::kDenoiser},
    PartPrefix{"diffusion_model.", Role::kDenoiser},
    PartPrefix{"unet.", Role::kDenoiser},
    PartPrefix{"model_ema.", Role::kEma},
    PartPrefix{"first_stage_model.", Role::kVae},
    PartPrefix{"vae.", Role::kVae},
    PartPrefix{"cond_stage_model.", Role::kTextEncoder},
    PartPrefix{"conditioner.embedders.", Role::kTextEncoder, true},
    PartPrefix{"text_encoders.", Role::kTextEncoder, true},
    PartPrefix{"control_model.", Role::kControlNet},
};

// Around whole checkpoints, in front of the parts' prefixes.
constexpr Prefixes<3> kOuterWraps({"state_dict.", "module.", "_orig_mod."});
// Around the names of one model.
constexpr Prefixes<11> kWraps({"model.", "net.", "module.", "transformer.", "params.",
                               "language_model.", "params_ema.", "adapter.", "diffusion_model.",
                               "state_dict.", "_orig_mod."});
constexpr int kMaxWraps = 4;

constexpr Prefixes<9> kLoraWraps({"base_model.model.", "lora_unet_", "lora_transformer_",
                                  "lycoris_", "unet.", "transformer.", "diffusion_model.",
                                  "lora_prior_unet_", "model."});
// Those that no other program writes.
constexpr Prefixes<5> kTrainersPrefixes({"lora_unet_", "lora_te", "lora_transformer_", "lycoris_",
                                         "lora_prior_"});
// Text encoders keep their prefix, which tells them apart.
constexpr Prefixes<4> kLoraEncoders({"lora_te", "text_encoder.", "text_encoder_2.",
                                     "text_encoders."});

template <size_t kSize>
std::string_view Unwrap(std::string_view name, const Prefixes<kSize>& wraps) {
  for (int i = 0; i < kMaxWraps; ++i) {
    const size_t wrap = wraps.Find(name);
    if (wrap == kSize) break;
    name.remove_prefix(wraps[wrap].size());
  }
  return name;
}

const PartPrefix* PrefixOfPart(std::string_view name) {
  static constexpr Prefixes<kPartPrefixes.size()> kPrefixes([] {
    std::array<std::string_view, kPartPrefixes.size()> prefixes;
    for (size_t i = 0; i < prefixes.size(); ++i) prefixes[i] = kPartPrefixes[i].prefix;
    return prefixes;
  }());
  const size_t part = kPrefixes.Find(name);
  return part == kPartPrefixes.size() ? nullptr : &kPartPrefixes[part];
}

// The suffixes, with one alternative each.
struct SuffixBook {
  struct Suffix {
    std::string head;  // up to a wildcard
    const LoraSuffix* row;
  };
  std::vector<Suffix> suffixes;
  // Ids are places in suffixes. Those with a wildcard cost a search of every name.
  PatternSet plain;
  PatternSet wild;
};
// What all suffixes with a wildcard have.
constexpr std::string_view kInWild = "lora_";
const SuffixBook& Suffixes() {
  static const SuffixBook* const book = [] {
    auto* made = new SuffixBook;
    for (const LoraSuffix& row : LoraSuffixes()) {
      for (const std::string& suffix : ExpandAlternatives(row.suffix)) {
        auto& patterns = suffix.find('*') == std::string::npos ? made->plain : made->wild;
        patterns.Add("*" + suffix, static_cast<uint32_t>(made->suffixes.size()));
        made->suffixes.push_back({suffix.substr(0, suffix.find('*')), &row});
      }
    }
    return made;
  }();
  return *book;
}

// The order that diffusers gives text encoders: CLIP-L, CLIP-G, then the large ones.
// Numbers sort as numbers.
std::string LabelOf(std::string_view label) {
  const bool number = label.find_first_not_of("0123456789") == std::string_view::npos;
  if (number && label.size() < 3) return std::string(3 - label.size(), '0') + std::string(label);
  const char order = label == "clip_l" ? '0' : label == "clip_g" ? '1' : '2';
  return order + std::string(label);
}

}  // namespace

const RuleBook& TensorRules() {
  static const RuleBook* const book =
      new RuleBook(std::array{DenoiserRules(), EncoderRules(), AdapterRules()});
  return *book;
}

const RuleBook& LayerRules() {
  static const RuleBook* const book = new RuleBook(std::array{LoraRules()});
  return *book;
}

std::string_view NormalizedName(std::string_view name) { return Unwrap(name, kWraps); }

TensorParts::TensorParts(std::span<const TensorTable* const> tables, bool archive)
    : lora_{LayerRules().conditions().NoHits(), 0, "", "", {}} {
  const ConditionSet& conditions = TensorRules().conditions();
  for (const TensorTable* table : tables) {
    for (uint32_t i = 0; i < table->size(); ++i) {
      const TensorView tensor = (*table)[i];
      std::string_view name = Unwrap(tensor.name, kOuterWraps);
      Role role = Role::kRest;
      std::string_view label;
      if (const size_t slash = archive ? name.find('/') : std::string_view::npos;
          slash != std::string_view::npos) {
        role = Role::kFolder;
        label = name.substr(0, slash);
        name.remove_prefix(slash + 1);
      }
      if (role != Role::kFolder) {
        if (const PartPrefix* part = PrefixOfPart(name)) {
          role = part->role;
          name.remove_prefix(part->prefix.size());
          if (part->labelled) {
            label = name.substr(0, name.find('.'));
            name.remove_prefix(std::min(name.size(), label.size() + 1));
          }
        }
      }
      TensorPart& part = PartFor(role, label);
      part.tensors.push_back(i);
      ++part.hits.tensors;
      if (AddLoraTensor(tensor)) continue;
      if (tensor.shape.size() >= 2) ++other_matrices_;
      const std::string_view plain = NormalizedName(name);
      conditions.Look(plain, tensor.shape, tensor, part.hits);
      part.names.Add(plain, tensor.shape);
    }
  }
  std::sort(parts_.begin(), parts_.end(),
            [](const TensorPart& a, const TensorPart& b) { return a.key < b.key; });
}

const TensorPart* TensorParts::Find(Role role) const {
  const auto part = std::find_if(parts_.begin(), parts_.end(),
                                 [role](const TensorPart& each) { return each.key.role == role; });
  return part == parts_.end() ? nullptr : &*part;
}

TensorPart& TensorParts::PartFor(Role role, std::string_view label) {
  // Neighbours mostly belong together.
  PartKey key{role,
              role == Role::kTextEncoder && !label.empty() ? LabelOf(label) : std::string(label)};
  if (last_ < parts_.size() && parts_[last_].key == key) return parts_[last_];
  if (parts_.size() >= kMaxParts) key = {};
  const auto known = std::find_if(parts_.begin(), parts_.end(),
                                  [&key](const TensorPart& each) { return each.key == key; });
  last_ = static_cast<size_t>(known - parts_.begin());
  if (known == parts_.end()) {
    parts_.push_back({std::move(key), {}, TensorRules().conditions().NoHits()});
  }
  return parts_[last_];
}

// A layer's tensors follow each other in most files.
void TensorParts::AddLayer(const LayerShape& layer) {
  auto& layers = lora_.layers;
  if (!layers.empty() && layers.back().name == layer.name) {
    layers.back().out = std::max(layers.back().out, layer.out);
    layers.back().in = std::max(layers.back().in, layer.in);
  } else if (layers.size() < LoraTensors::kMaxLayers) {
    layers.push_back(layer);
  }
}

bool TensorParts::AddLoraTensor(const TensorView& tensor) {
  if (tensor.name.size() > kMaxMatchedName) return false;
  const LoraSuffix* suffix = nullptr;
  size_t stem_bytes = tensor.name.size();
  // The longest that fits.
  const SuffixBook& book = Suffixes();
  const auto wanted = [](uint32_t) { return true; };
  const auto take = [&](uint32_t id) {
    const SuffixBook::Suffix& found = book.suffixes[id];
    const size_t begin = tensor.name.rfind(found.head);
    if (begin >= stem_bytes) return;
    suffix = found.row;
    stem_bytes = begin;
  };
  book.plain.ForEachMatch(tensor.name, wanted, take);
  if (tensor.name.find(kInWild) != std::string_view::npos) {
    book.wild.ForEachMatch(tensor.name, wanted, take);
  }
  if (suffix == nullptr) return false;
  const std::string_view whole = Unwrap(tensor.name.substr(0, stem_bytes), kOuterWraps);
  const std::string_view stem = Unwrap(whole, kLoraWraps);
  const bool has_prefix = stem.size() != whole.size() || kLoraEncoders.Has(stem);
  if (suffix->needs == LoraSuffix::Prefix::kAny && !has_prefix) return false;
  if (suffix->needs == LoraSuffix::Prefix::kTrainers && !kTrainersPrefixes.Has(whole)) return false;
  const auto dim = [&tensor](size_t i) { return i < tensor.shape.size() ? tensor.shape[i] : 0; };
  using Tells = LoraSuffix::Tells;
  const bool tells_out = suffix->tells == Tells::kOut || suffix->tells == Tells::kBoth;
  const bool tells_in = suffix->tells == Tells::kIn || suffix->tells == Tells::kBoth;
  const std::array<uint64_t, 2> layer = {tells_out ? dim(0) : 0, tells_in ? dim(1) : 0};
  LayerRules().conditions().Look(stem, layer, tensor, lora_.hits);
  if (!kLoraEncoders.Has(stem)) AddLayer({stem, layer[0], layer[1]});
  ++lora_.hits.tensors;
  if (suffix->family.empty()) return true;
  if (lora_.tensors++ == 0) {
    lora_.family = suffix->family;
    lora_.example = TensorText(tensor);
  }
  return true;
}

}  // namespace warmset
