// Which tensors of one file belong together, told by their names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/tensor_table.h"

namespace warmset {

struct TensorGroup {
  std::string name;              // unique in the file: "unet", "text_encoder_2"
  std::string type;              // "unet", "transformer", "vae", "text_encoder", ...
  std::vector<uint32_t> tensors; // places in the table, in its order
};

// The components of a file: one group "model" of all tensors when they belong
// together, as those of a LoRA always do.
std::vector<TensorGroup> GroupTensors(const TensorTable& tensors);

// "lora", "unet", "transformer", "vae", ... by the tensors' names, else "model".
std::string GuessType(const TensorTable& tensors);

}  // namespace warmset
