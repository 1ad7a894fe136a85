// What is known of models, as tables. To teach a new model, add a row; no code
// needs to follow. Names of tensors are written without what NormalizedName()
// takes off; conditions.h says how conditions are written.
#pragma once

#include <span>
#include <string_view>

namespace warmset {

// What tensors are when a condition holds.
struct ModelRule {
  std::string_view name;  // of the architecture; empty: the rule tells the type only
  std::string_view type;  // of the component, see kTypes
  double confidence;      // that the condition means that; rules that agree add up
  std::string_view when;
  // What a diffusion model needs beside itself, when it is not that of kTypes.
  std::string_view lacks = "";
};

// A variant of an architecture: `suffix` is added to its name. All that hold are
// added, in the order of the table.
struct VariantRule {
  std::string_view of;    // names, with '|' between
  std::string_view type;  // of the component
  std::string_view suffix;
  std::string_view when;
};

// Conditions may say "$name" for these terms. What follows the name, such as
// "[1]=4", belongs to the last of them.
struct Shorthand {
  std::string_view name;
  std::string_view terms;
};

struct RuleTable {
  std::span<const ModelRule> models;
  std::span<const VariantRule> variants;
  std::span<const Shorthand> shorthands;
};
RuleTable DenoiserRules();
RuleTable EncoderRules();  // text encoders, vision encoders, VAEs, language models
RuleTable AdapterRules();  // ControlNets, adapters, embeddings; upscalers
// Of the layers that a LoRA changes: their names without prefix and suffix, their
// shape as [out, in], with 0 for what is not told.
RuleTable LoraRules();

// How a LoRA's tensors are named: the layer, then this suffix, a pattern.
struct LoraSuffix {
  std::string_view suffix;
  std::string_view family;
  // Which dims of the layer the tensor has: its dim 1 is the layer's for kIn, its
  // dim 0 for kOut.
  enum class Tells { kNothing, kIn, kOut, kBoth } tells;
  // Common words count only behind a prefix: any that LoRAs have, or one that the
  // trainers write and no other program ("lora_unet_").
  enum class Prefix { kNone, kAny, kTrainers } needs = Prefix::kNone;
};
std::span<const LoraSuffix> LoraSuffixes();

// What types of components mean for the model they make alone.
struct TypeRow {
  std::string_view type;
  std::string_view kind;        // of the model
  bool needs_base = false;      // it is of use with a model of its architecture only
  std::string_view lacks = "";  // types that it needs beside itself
};
std::span<const TypeRow> TypeRows();
// The row of the type; that of "model" for an unknown one.
const TypeRow& RowOfType(std::string_view type);

// Classes of the transformers and diffusers libraries. The first row whose pattern
// fits counts.
struct ClassRule {
  std::string_view pattern;
  std::string_view type;                // empty: without weights of its own
  std::string_view architectures = "";  // names, with '|' between; empty: any
};
// nullptr for an unknown class.
const ClassRule* FindClass(std::string_view class_name);
// Of pipelines; type is "pipeline".
const ClassRule* FindPipeline(std::string_view class_name);

}  // namespace warmset
