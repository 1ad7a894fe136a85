// What the names of folders say about the models in them, as image programs lay
// them out.
#pragma once

#include <string>
#include <string_view>

namespace warmset {

// ComfyUI's name of the kind that a folder of this name holds: "loras" for "loras",
// "Lora" and "LyCORIS"; empty for other names. A hint, not a proof.
std::string_view FolderKindOf(std::string_view folder_name);

// The name that ComfyUI uses now for a key of extra_model_paths.yaml:
// "diffusion_models" for "unet".
std::string CurrentFolderKind(std::string_view key);

}  // namespace warmset
