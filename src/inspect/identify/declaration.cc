#include "inspect/identify/declaration.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "fmt/format.h"
#include "inspect/identify/atlas.h"
#include "inspect/identify/join_candidates.h"
#include "inspect/identify/name_pattern.h"
#include "inspect/identify/rules.h"
#include "inspect/shard_index.h"

namespace warmset {
namespace {

// What GGUF's general.architecture means where it is no language model: patterns, in
// llama.cpp's words, those of ComfyUI-GGUF and of the programs that copy it.
struct GgufArchitecture {
  std::string_view pattern;
  std::string_view type;       // empty: the word says nothing
  std::string_view name = "";  // of the architecture where it is another word
};
constexpr std::array kGgufArchitectures = {
    GgufArchitecture{"{pig,cow,gig,unknown,(unknown)}", ""},
    GgufArchitecture{"*bert*", "text_encoder"},
    GgufArchitecture{"{gemma-embedding,llama-embed}", "text_encoder"},
    GgufArchitecture{"t5{,encoder}", "text_encoder", "t5"},
    GgufArchitecture{"umt5{,encoder}", "text_encoder", "umt5"},
    GgufArchitecture{"{wavtokenizer-dec,whisper}", "audio"},
    GgufArchitecture{"{sd1,sdxl,svd}", "unet"},
    GgufArchitecture{"flux", "transformer", "flux.1"},
    GgufArchitecture{"sd3", "transformer"},
    GgufArchitecture{"aura", "transformer", "auraflow"},
    GgufArchitecture{"hidream", "transformer", "hidream-i1"},
    GgufArchitecture{"ltxv", "transformer", "ltx-video"},
    GgufArchitecture{"hyvid", "transformer", "hunyuan-video"},
    GgufArchitecture{"qwen_image", "transformer", "qwen-image"},
    GgufArchitecture{"{chroma,cosmos,lumina2,mochi,sana,wan}", "transformer"},
    GgufArchitecture{"{hunyuan_image,hyimg}", "transformer", "hunyuan-image-2.1"},
    GgufArchitecture{"{z_image,zimage}", "transformer", "z-image"},
};

const GgufArchitecture* FindGguf(std::string_view word) {
  for (const GgufArchitecture& each : kGgufArchitectures) {
    for (const std::string& pattern : ExpandAlternatives(each.pattern)) {
      if (MatchesName(pattern, word)) return &each;
    }
  }
  return nullptr;
}
// In a diffusion model by general.architecture alone.
constexpr double kShared = 0.7;
// At most, in a base that an adapter's tensors alone tell.
constexpr double kBaseByLayers = 0.6;

// What a configuration says, from the atlas or from the patterns of class names.
struct Declaration {
  std::string type;           // empty: not told
  std::string architectures;  // with '|' between; empty: any
  std::string by_rules;       // those that rules may tell of its class, likewise
  bool known = false;         // the class or the model type is a library's
};

Declaration Declared(const Atlas& atlas, std::string_view class_name, std::string_view model_type) {
  auto rows = atlas.FindWord(class_name);
  if (rows.empty()) rows = atlas.FindWord(model_type);
  Declaration declared;
  if (const ClassRule* rule = FindClass(class_name)) {
    declared = {std::string(rule->type), std::string(rule->architectures), "", false};
  }
  if (rows.empty()) return declared;
  declared = {std::string(rows[0]->type), "", "", true};
  std::vector<std::string_view> names;
  for (const AtlasRow* row : rows) {
    if (row->name.starts_with('?')) {
      declared.by_rules = row->name.substr(1);
      continue;
    }
    ForEachWord(row->name, '|', [&](std::string_view name) {
      if (std::find(names.begin(), names.end(), name) != names.end()) return;
      declared.architectures += (names.empty() ? "" : "|") + std::string(name);
      names.push_back(name);
    });
  }
  return declared;
}

// The model type that the last part of "org/Qwen2.5-7B" begins or goes on with: "qwen2".
const AtlasRow* FamilyIn(const Atlas& atlas, std::string_view base) {
  const std::string_view last = base.substr(base.find_last_of('/') + 1);
  std::vector<std::string> words(1);
  for (const char c : last) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte)) {
      words.back() += static_cast<char>(std::tolower(byte));
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  const auto find = [&](const std::string& word) -> const AtlasRow* {
    const auto rows = atlas.FindWord(word);
    return rows.empty() || rows[0]->name.starts_with('?') ? nullptr : rows[0];
  };
  for (size_t i = 0; i < words.size(); ++i) {
    if (i + 1 < words.size()) {
      if (const AtlasRow* row = find(words[i] + words[i + 1])) return row;  // "gemma-2"
    }
    if (const AtlasRow* row = find(words[i])) return row;
  }
  return nullptr;
}

}  // namespace

std::string_view PlainName(std::string_view name) {
  return name.size() <= kMaxArchitectureName && IsPrintable(name) ? name : std::string_view();
}

std::string_view WithoutNumber(std::string_view name) {
  const size_t end = name.find_last_not_of("0123456789");
  const bool numbered =
      end != std::string_view::npos && end + 1 < name.size() && end > 0 && name[end] == '_';
  return numbered ? name.substr(0, end) : name;
}

std::vector<Candidate> DeclaredCandidates(std::string_view architectures, std::string_view type,
                                          const std::string& says) {
  std::vector<Candidate> candidates;
  const auto bars = std::count(architectures.begin(), architectures.end(), '|');
  ForEachWord(architectures, '|', [&](std::string_view name) {
    candidates.push_back({std::string(name),
                          std::string(name),
                          std::string(type),
                          kDeclared / static_cast<double>(bars + 1),
                          {says},
                          std::string(RowOfType(type).lacks)});
  });
  return candidates;
}

std::optional<Candidate> DeclaredByMetadata(const ModelEvidence& evidence, bool is_lora) {
  if (evidence.metadata == nullptr) return std::nullopt;
  const auto value = [&](const std::string& key) {
    const auto entry = evidence.metadata->find(key);
    return entry == evidence.metadata->end() ? std::string_view() : PlainName(entry->second);
  };
  const std::string name(value("general.architecture"));
  if (name.empty()) return std::nullopt;
  const std::string blocks = name + ".block_count";
  Candidate candidate{name, name, "llm", kDeclared, {"general.architecture is " + name}};
  if (const GgufArchitecture* known = FindGguf(name)) {
    if (known->type.empty()) return std::nullopt;
    candidate.type = known->type;
    if (!known->name.empty()) candidate.name = candidate.base = known->name;
    // Several models share what a diffusion model's word stands for: the tensors say more.
    if (RowOfType(candidate.type).kind == "diffusion_model") candidate.confidence = kShared;
    candidate.lacks = RowOfType(candidate.type).lacks;
  }
  if (is_lora || value("general.type") == "adapter") {
    candidate.type = "lora";
  } else if (!value(blocks).empty()) {
    AddEvidence(candidate, 0.5, std::array{fmt::format("{} is {}", blocks, value(blocks))});
  }
  return candidate;
}

namespace {

// PEFT's types that learn what stands for a prompt; the others change layers.
constexpr std::array<std::string_view, 6> kPrompts = {
    "CARTRIDGE", "CPT", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "PROMPT_TUNING"};

}  // namespace

std::string AddAdapterBase(const ModelEvidence& evidence, std::string& type,
                           std::vector<Candidate>& candidates) {
  const std::string_view peft_type = PlainName(evidence.peft_type);
  if (!peft_type.empty()) {
    const bool is_prompt = std::find(kPrompts.begin(), kPrompts.end(), peft_type) != kPrompts.end();
    const std::string declared = is_prompt ? "embedding" : "lora";
    // Layers that it holds whole are those of the model that it changes.
    for (Candidate& each : candidates) {
      if (each.type != declared) each.confidence = std::min(each.confidence, kBaseByLayers);
      each.type = declared;
    }
    type = declared;
  }
  const std::string base(PlainName(evidence.adapter_base));
  if (base.empty() || !RowOfType(type).needs_base) return {};
  const AtlasRow* family = FamilyIn(AtlasFor(evidence), base);
  if (family != nullptr && (candidates.empty() || candidates[0].name.empty())) {
    candidates = DeclaredCandidates(family->name, type, "adapter_config.json names " + base);
  }
  return base;
}

void AddConfiguration(const ModelEvidence& evidence, std::string& type,
                      std::vector<Candidate>& candidates, std::vector<std::string>& disagreements) {
  const std::string class_name(PlainName(evidence.class_name));
  const std::string model_type(PlainName(evidence.model_type));
  if (class_name.empty() && model_type.empty() && evidence.folder.empty()) return;
  const std::string says =
      !class_name.empty()   ? "the configuration names " + class_name
      : !model_type.empty() ? "the configuration names " + model_type
                            : fmt::format("it lies in the folder {}", PlainName(evidence.folder));
  const Declaration declaration = Declared(AtlasFor(evidence), class_name, model_type);
  const std::string_view place = WithoutNumber(evidence.folder);
  // A pipeline's language model is its text encoder.
  const bool by_place = !place.empty() && (declaration.type.empty() || declaration.type == "llm");
  const std::string declared(by_place ? place : declaration.type);
  const std::string_view named = declaration.architectures;
  const auto is_declared = [&](const Candidate& each) {
    const std::string_view fitting = named.empty() ? declaration.by_rules : named;
    bool is = fitting.empty() || each.name.empty();
    ForEachWord(fitting, '|',
                [&](std::string_view name) { is = is || IsRelated(each.name, name); });
    return is;
  };
  if (!declared.empty()) {
    const bool serves_both = declared == "text_encoder" && type == "llm";
    for (Candidate& each : candidates) {
      if (serves_both && each.type == "llm") each.type = declared;
    }
    const auto agrees = [&](const Candidate& each) {
      return each.type == declared && is_declared(each);
    };
    if (!candidates.empty() && candidates[0].confidence >= kDisagrees && !agrees(candidates[0])) {
      disagreements.push_back(fmt::format(
          "{}, but the tensors are those of a {} ({})", says, RowOfType(candidates[0].type).kind,
          candidates[0].evidence.empty() ? candidates[0].name : candidates[0].evidence[0]));
    }
    type = declared;
    std::erase_if(candidates, [&](const Candidate& each) { return !agrees(each); });
    for (Candidate& each : DeclaredCandidates(named, type, says)) {
      const auto same =
          std::find_if(candidates.begin(), candidates.end(),
                       [&](const Candidate& other) { return other.name == each.name; });
      if (same != candidates.end()) {
        AddEvidence(*same, each.confidence, each.evidence);
      } else {
        candidates.push_back(std::move(each));
      }
    }
  }
  const bool unknown_class = !declaration.known && !(class_name.empty() && model_type.empty());
  if (unknown_class) {
    for (Candidate& each : candidates) each.confidence *= kUnknownClass;
  }
  // Without anything better, the configuration's own words are its name.
  const bool known = std::any_of(candidates.begin(), candidates.end(), [](const Candidate& each) {
    return !each.name.empty() && each.confidence >= kDeclared / 2;
  });
  const std::string& name = model_type.empty() ? class_name : model_type;
  if (!name.empty() && !known && evidence.folder.empty()) {
    const double confidence = model_type.empty() ? kDeclared / 2 : kDeclared;
    candidates.push_back(
        {name, name, type, confidence, {says}, std::string(RowOfType(type).lacks)});
  }
  RankCandidates(candidates);
}

}  // namespace warmset
