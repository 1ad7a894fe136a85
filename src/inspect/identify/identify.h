// What a model is, told by its headers: never by tensor data, and by a file's name
// only where nothing else tells.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "inspect/manifest.h"
#include "tensor/tensor_table.h"

namespace warmset {

class Atlas;

// All there is to go by. Everything belongs to the caller.
struct ModelEvidence {
  std::span<const TensorTable* const> tensors = {};              // of all files
  std::string_view format = {};                                  // "gguf"
  const std::map<std::string, std::string>* metadata = nullptr;  // of the first file
  std::string_view file_name = {};                               // without its folder
  // As config.json or a pipeline's model_index.json says it, or empty.
  std::string_view class_name = {};
  std::string_view model_type = {};
  std::string_view folder = {};  // of a pipeline's component: "text_encoder_2"
  // As PEFT's adapter_config.json says it, or empty.
  std::string_view adapter_base = {};
  std::string_view peft_type = {};
  // In place of the built-in atlas, for measures; may be null.
  const Atlas* atlas = nullptr;
};

// The atlas to look in.
const Atlas& AtlasFor(const ModelEvidence& evidence);

// Tensors of one file that make a component.
struct TensorGroup {
  std::string name;               // unique in the file: "unet", "text_encoder_2"
  std::string type;               // "unet", "transformer", "vae", "text_encoder", ...
  std::vector<uint32_t> tensors;  // places in the table, in its order
};

struct Identification {
  std::string kind = "model";               // one of ModelKinds()
  std::string type = "model";               // of the component that all tensors together make
  std::vector<Architecture> architectures;  // candidates, the likeliest first
  // Architectures and types of components that it needs beside itself.
  std::vector<std::string> requires_models;
  std::vector<std::string> disagreements;  // of what the configuration says with the tensors
  // The components that a single file's tensors come apart into; empty when they
  // belong together, as those of a LoRA always do.
  std::vector<TensorGroup> groups;
};

Identification Identify(const ModelEvidence& evidence);

// One component of a pipeline, which was identified by itself.
struct PipelinePart {
  std::string type;
  Identification identification;
};
// The pipeline as a whole, by its class in model_index.json and its components.
Identification IdentifyPipeline(std::string_view class_name, std::span<const PipelinePart> parts);

// "unet", "transformer", "vae", "text_encoder", ... for a class of the transformers
// or diffusers library; empty for one without weights of its own (a scheduler, a
// tokenizer) or an unknown one.
std::string_view TypeOfClass(std::string_view class_name);

// "checkpoint", "lora", ...: all that a model may be; docs/formats/manifest.md says
// what each means.
std::vector<std::string_view> ModelKinds();

// "sdxl", "flux.1", "t5", ...: the architectures that rules tell, in order, without the
// suffixes of their variants. A model's configuration may name others.
std::vector<std::string_view> ModelArchitectures();
// One of those, or a variant: "sdxl-inpaint".
bool IsKnownArchitecture(std::string_view name);

// The kind that models in a folder of that name have, where the field's programs
// agree on names ("loras", "vae", "upscale_models", ...); empty for other names and
// for folders of anything. A hint for what nothing else tells.
std::string_view KindOfFolder(std::string_view folder_kind);

// What a user says against what was found. Empty: as it was found.
struct IdentityOverride {
  std::string kind;
  std::string architecture;
};
// kInvalidRequest for a kind that is none of ModelKinds(), or for an architecture
// that could not be shown.
Status ValidateOverride(const IdentityOverride& override_);
// The user's word comes first, with confidence 1; what was found stays behind it.
// REQUIRES: it is valid.
void ApplyOverride(const IdentityOverride& override_, Manifest& manifest);

}  // namespace warmset
