#include "inspect/identify/identify.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/nearest.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "inspect/identify/atlas.h"
#include "inspect/identify/declaration.h"
#include "inspect/identify/join_candidates.h"
#include "inspect/identify/rule_book.h"
#include "inspect/identify/rules.h"
#include "inspect/identify/tensor_parts.h"
#include "inspect/shard_index.h"

namespace warmset {
namespace {

using Role = PartKey::Role;

// Below that, rules are hints: a prefix says more.
constexpr double kCertain = 0.7;
constexpr double kLikeNothing = 0.6;  // of an atlas' row
constexpr size_t kMaxCandidates = 4;
constexpr size_t kMaxEvidence = 12;

constexpr std::array<std::string_view, 3> kOtherKinds = {"checkpoint", "pipeline", "model"};

bool IsDenoiser(std::string_view type) {
  return type == "unet" || type == "transformer" || type == "prior";
}

struct IdentifiedPart {
  const TensorPart* part;
  std::string type;
  std::vector<Candidate> candidates;
};

// A prefix decides the type of a part, the rules that of the rest.
std::string TypeOfPart(const TensorPart& part, const std::vector<Candidate>& candidates) {
  const std::string_view told = candidates.empty() ? "" : std::string_view(candidates[0].type);
  switch (part.key.role) {
    case Role::kDenoiser:
      return IsDenoiser(told) ? std::string(told) : "unet";
    case Role::kVae:
      return told == "vae_approx" ? "vae_approx" : "vae";
    case Role::kTextEncoder:
      return "text_encoder";
    case Role::kControlNet:
      return "controlnet";
    case Role::kEma:
      return "ema";
    case Role::kFolder:
      return std::string(WithoutNumber(part.key.label));
    case Role::kRest:
      break;
  }
  return candidates.empty() ? "model" : std::string(told);
}

// A whole model's names may lie below a word of its own ("unet.", "llm."): looked for when
// they are like nothing as they are.
std::vector<Likeness> MatchNames(const Atlas& atlas, const NameSet& names) {
  std::vector<Likeness> matches = atlas.Match(names);
  if (!matches.empty() && matches[0].value() >= kLikeNothing) return matches;
  const std::string_view word = names.CommonWord();
  if (word.empty()) return matches;
  std::vector<Likeness> below = atlas.Match(names.Without(word));
  return !below.empty() && below[0].value() >= kLikeNothing ? below : matches;
}

// GGUF files have names of their own, and metadata that says what they are.
bool HasOwnNames(const ModelEvidence& evidence) {
  return evidence.metadata != nullptr && evidence.metadata->contains("general.architecture");
}

// What one file's tensors, or those of all shards, are as a whole.
class Survey {
 public:
  explicit Survey(const ModelEvidence& evidence)
      : atlas_(AtlasFor(evidence)),
        facts_{evidence.metadata, evidence.file_name},
        parts_(evidence.tensors, evidence.format == "dduf") {
    const TensorPart* rest = parts_.Find(Role::kRest);
    for (const TensorPart& part : parts_.parts()) {
      auto candidates = JoinCandidates(
          TensorRules().CandidatesFor(
              part.hits, &part == rest || rest == nullptr ? nullptr : &rest->hits, facts_),
          MatchNames(atlas_, part.names), HasOwnNames(evidence));
      std::string type = TypeOfPart(part, candidates);
      // A pair of a DDUF folder's "transformer" is what its tensors say, too.
      std::erase_if(candidates, [&](const Candidate& each) {
        return part.key.role != Role::kRest && each.type != type;
      });
      identified_.push_back({&part, std::move(type), std::move(candidates)});
    }
    // A main model may carry LoRA tensors; then its own tensors make it known.
    const bool main_model =
        std::any_of(identified_.begin(), identified_.end(), [](const IdentifiedPart& each) {
          return !each.candidates.empty() && each.candidates[0].confidence >= kCertain;
        });
    is_lora_ = !main_model && parts_.lora().tensors > parts_.other_matrices();
  }

  bool is_lora() const { return is_lora_; }
  const std::vector<IdentifiedPart>& parts() const { return identified_; }
  bool is_one() const { return is_lora_ || identified_.size() <= 1; }

  // What makes the model what it is: its denoiser, else its only part.
  std::vector<Candidate> MainCandidates() const {
    if (is_lora_) return LoraCandidates();
    for (const IdentifiedPart& each : identified_) {
      if (IsDenoiser(each.type)) return each.candidates;
    }
    for (const IdentifiedPart& each : identified_) {
      if (each.type == "controlnet") return each.candidates;
    }
    return identified_.size() == 1 ? identified_[0].candidates : std::vector<Candidate>();
  }

  std::string MainType() const {
    if (is_lora_) return "lora";
    for (const std::string_view type : {"unet", "transformer", "prior", "controlnet"}) {
      if (Has(type)) return std::string(type);
    }
    if (identified_.empty()) return "model";
    const std::string& type = identified_[0].type;
    const bool same = std::all_of(identified_.begin(), identified_.end(),
                                  [&](const IdentifiedPart& each) { return each.type == type; });
    return same ? type : "model";
  }

  bool Has(std::string_view type) const {
    return std::any_of(identified_.begin(), identified_.end(),
                       [type](const IdentifiedPart& each) { return each.type == type; });
  }

 private:
  std::vector<Candidate> LoraCandidates() const {
    const LoraTensors& lora = parts_.lora();
    auto candidates = LayerRules().CandidatesFor(lora.hits, nullptr, facts_);
    if (candidates.empty() || candidates[0].name.empty()) {
      auto bases = BasesWithLayers(atlas_, lora.layers);
      candidates.insert(candidates.begin(), std::make_move_iterator(bases.begin()),
                        std::make_move_iterator(bases.end()));
    }
    for (Candidate& candidate : candidates) {
      candidate.evidence.insert(candidate.evidence.begin(),
                                fmt::format("names of LoRAs, {}: {}", lora.family, lora.example));
    }
    return candidates;
  }

  const Atlas& atlas_;
  FileFacts facts_;
  TensorParts parts_;
  std::vector<IdentifiedPart> identified_;
  bool is_lora_ = false;
};

std::vector<Architecture> Architectures(const std::vector<Candidate>& candidates) {
  std::vector<Architecture> architectures;
  for (const Candidate& each : candidates) {
    if (each.name.empty() || architectures.size() == kMaxCandidates) continue;
    std::vector<std::string> evidence = each.evidence;
    if (evidence.size() > kMaxEvidence) evidence.resize(kMaxEvidence);
    architectures.push_back({each.name, each.confidence, std::move(evidence)});
  }
  // Without a name, too, there are reasons for the kind.
  if (architectures.empty() && !candidates.empty()) {
    architectures.push_back({"", 0, candidates[0].evidence});
  }
  return architectures;
}

// The architectures that a model of that type, and the types of components that
// it, needs beside itself.
std::vector<std::string> Requires(const std::string& type,
                                  const std::vector<Candidate>& candidates) {
  std::vector<std::string> needs;
  if (RowOfType(type).needs_base) {
    for (const Candidate& each : candidates) {
      if (!each.base.empty() && needs.empty()) needs.push_back(each.base);
    }
    return needs;
  }
  const std::string_view lacks =
      candidates.empty() ? RowOfType(type).lacks : std::string_view(candidates[0].lacks);
  ForEachWord(lacks, ' ', [&](std::string_view each) { needs.emplace_back(each); });
  return needs;
}

std::vector<TensorGroup> Groups(const Survey& survey) {
  std::vector<TensorGroup> groups;
  if (survey.is_one()) return groups;
  std::map<std::string, int> numbers;
  for (const IdentifiedPart& each : survey.parts()) {
    const bool told = each.part->key.role != Role::kRest ||
                      (!each.candidates.empty() && each.candidates[0].confidence >= kCertain);
    const std::string type = told ? each.type : "other";
    std::string name = each.part->key.role == Role::kFolder ? each.part->key.label : type;
    const int number = ++numbers[name];
    if (number > 1) name += "_" + std::to_string(number);
    groups.push_back({std::move(name), type, each.part->tensors});
  }
  return groups;
}

// A DDUF file is a pipeline's folder in one file; its reader leaves the classes of
// its model_index.json as metadata.
Identification IdentifyArchive(const ModelEvidence& evidence, const Survey& survey) {
  std::vector<PipelinePart> parts;
  for (const IdentifiedPart& each : survey.parts()) {
    Identification part;
    part.type = each.type;
    part.architectures = Architectures(each.candidates);
    parts.push_back({each.type, std::move(part)});
  }
  std::string_view class_name;
  if (evidence.metadata != nullptr) {
    const auto entry = evidence.metadata->find("_class_name");
    if (entry != evidence.metadata->end()) class_name = entry->second;
  }
  return IdentifyPipeline(class_name, parts);
}

}  // namespace

const Atlas& AtlasFor(const ModelEvidence& evidence) {
  return evidence.atlas == nullptr ? Atlas::Builtin() : *evidence.atlas;
}

Identification Identify(const ModelEvidence& evidence) {
  Identification found;
  // A graph's weights are not those of the model that it came from.
  if (evidence.format == "onnx") return found;
  const Survey survey(evidence);
  if (evidence.format == "dduf") found = IdentifyArchive(evidence, survey);
  if (evidence.tensors.size() == 1) found.groups = Groups(survey);
  if (evidence.format == "dduf") return found;
  std::vector<Candidate> candidates = survey.MainCandidates();
  std::string type = survey.MainType();
  if (auto declared = DeclaredByMetadata(evidence, survey.is_lora());
      declared &&
      (candidates.empty() || candidates[0].type == "llm" || candidates[0].confidence < kCertain)) {
    std::erase_if(candidates, [&](const Candidate& each) { return each.type != declared->type; });
    type = declared->type;
    candidates.push_back(*std::move(declared));
    RankCandidates(candidates);
  }
  AddConfiguration(evidence, type, candidates, found.disagreements);
  const std::string base = AddAdapterBase(evidence, type, candidates);
  found.kind = RowOfType(type).kind;
  found.type = survey.is_one() ? type : "model";
  found.architectures = Architectures(candidates);
  found.requires_models = base.empty() ? Requires(type, candidates) : std::vector{base};
  if (IsDenoiser(type)) {
    if (survey.Has("vae") || survey.Has("text_encoder")) found.kind = "checkpoint";
    std::erase_if(found.requires_models, [&](const std::string& each) { return survey.Has(each); });
  }
  return found;
}

Identification IdentifyPipeline(std::string_view class_name, std::span<const PipelinePart> parts) {
  Identification found;
  found.kind = "pipeline";
  const std::string name(PlainName(class_name));
  const std::string says = "model_index.json names " + name;
  std::vector<Candidate> candidates;
  if (const ClassRule* rule = FindPipeline(name)) {
    candidates = DeclaredCandidates(rule->architectures, "pipeline", says);
  } else if (const auto rows = Atlas::Builtin().FindWord(name);
             !rows.empty() && !rows[0]->name.starts_with('?')) {
    candidates = DeclaredCandidates(rows[0]->name, "pipeline", says);
  }
  const bool unknown_class = candidates.empty();
  for (const PipelinePart& part : parts) {
    if (!IsDenoiser(part.type)) continue;
    bool agrees = candidates.empty();
    for (const Architecture& each : part.identification.architectures) {
      if (each.name.empty()) continue;
      const auto same = [&](const Candidate& known) { return known.name == each.name; };
      const auto related = [&](const Candidate& known) {
        return same(known) || IsRefinement(each.name, known.name) ||
               IsRefinement(known.name, each.name);
      };
      agrees = agrees || std::any_of(candidates.begin(), candidates.end(), related);
      const auto known = std::find_if(candidates.begin(), candidates.end(), same);
      if (known != candidates.end()) {
        AddEvidence(*known, each.confidence, each.evidence);
      } else {
        // A class that nothing knows may do another thing with a model that something knows.
        const double left = name.empty() || !unknown_class ? 1 : kUnknownClass;
        candidates.push_back(
            {each.name, each.name, "pipeline", each.confidence * left, each.evidence});
      }
    }
    const Architecture* first =
        part.identification.architectures.empty() ? nullptr : &part.identification.architectures[0];
    if (!agrees && first != nullptr && first->confidence >= kDisagrees) {
      found.disagreements.push_back(
          fmt::format("{}, but its {} is that of {}", says, part.type, first->name));
    }
    break;
  }
  if (candidates.empty() && !name.empty()) {
    candidates.push_back({name, name, "pipeline", 0.5, {says}});
  }
  RankCandidates(candidates);
  found.architectures = Architectures(candidates);
  return found;
}

std::string_view TypeOfClass(std::string_view class_name) {
  if (const auto rows = Atlas::Builtin().FindWord(class_name); !rows.empty()) return rows[0]->type;
  const ClassRule* rule = FindClass(class_name);
  return rule == nullptr ? std::string_view() : rule->type;
}

std::string_view KindOfFolder(std::string_view folder_kind) {
  // Names as in ComfyUI's folder_paths.py, which `discover` brings others to.
  static constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
      {"checkpoints", "checkpoint"},     {"diffusion_models", "diffusion_model"},
      {"text_encoders", "text_encoder"}, {"vae", "vae"},
      {"vae_approx", "vae_approx"},      {"loras", "lora"},
      {"controlnet", "controlnet"},      {"clip_vision", "clip_vision"},
      {"embeddings", "embedding"},       {"upscale_models", "upscaler"},
      {"style_models", "style_model"},   {"hypernetworks", "hypernetwork"},
  };
  for (const auto& [folder, kind] : kKinds) {
    if (folder == folder_kind) return kind;
  }
  return {};
}

std::vector<std::string_view> ModelKinds() {
  std::vector<std::string_view> kinds(kOtherKinds.begin(), kOtherKinds.end());
  for (const TypeRow& row : TypeRows()) {
    if (std::find(kinds.begin(), kinds.end(), row.kind) == kinds.end()) kinds.push_back(row.kind);
  }
  return kinds;
}

Status ValidateOverride(const IdentityOverride& override_) {
  const auto kinds = ModelKinds();
  if (!override_.kind.empty() &&
      std::find(kinds.begin(), kinds.end(), override_.kind) == kinds.end()) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("there is no kind '{}'{}; write one of {}", PlainName(override_.kind),
                             NearText(override_.kind, kinds), fmt::join(kinds, ", ")));
  }
  if (override_.architecture != PlainName(override_.architecture)) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("an architecture's name has up to {} printable characters",
                             kMaxArchitectureName));
  }
  return OkStatus();
}

void ApplyOverride(const IdentityOverride& override_, Manifest& manifest) {
  if (!override_.architecture.empty()) {
    auto& known = manifest.architectures;
    std::erase_if(known, [&](const Architecture& each) {
      return each.name.empty() || each.name == override_.architecture;
    });
    known.insert(known.begin(), {override_.architecture, 1, {"set by the user"}});
  }
  const std::string found_kind = manifest.kind;
  if (!override_.kind.empty()) manifest.kind = override_.kind;
  // What it needs follows from what it is.
  const auto row = std::find_if(TypeRows().begin(), TypeRows().end(),
                                [&](const TypeRow& each) { return each.kind == manifest.kind; });
  const bool needs_base = row != TypeRows().end() && row->needs_base;
  if (needs_base && !override_.architecture.empty()) {
    manifest.requires_models = {override_.architecture};
  } else if (!needs_base && manifest.kind != found_kind) {
    manifest.requires_models.clear();
  }
}

}  // namespace warmset
