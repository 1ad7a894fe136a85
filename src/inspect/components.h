// From headers to components: which tensors belong together, and which bytes of
// the files make their memory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inspect/manifest.h"
#include "tensor/tensor_index.h"

namespace warmset {

// The tensors of one file, by offset, with offsets in that file.
struct FileTensors {
  uint32_t file = 0;  // index into the manifest's files
  std::vector<TensorEntry> tensors;
  std::map<std::string, std::string> metadata;
};

// One component of whole files, one after another: a single file byte for byte,
// or the shards of a model.
ComponentManifest MakeWholeComponent(std::string name, std::string type,
                                     const std::vector<ManifestFile>& files,
                                     std::span<const FileTensors> parts);

// A single file's components, told by the prefixes of its tensors' names; one
// whole component "model" when all tensors belong together.
std::vector<ComponentManifest> SplitIntoComponents(const std::vector<ManifestFile>& files,
                                                   const FileTensors& part);

// "lora", "unet", "transformer", "vae", ... by the tensors' names, else "model".
std::string GuessType(std::span<const TensorEntry> tensors);

}  // namespace warmset
