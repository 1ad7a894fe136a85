// ComfyUI's extra_model_paths.yaml, imported as it is.
// Form: https://github.com/comfyanonymous/ComfyUI/blob/master/extra_model_paths.yaml.example
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "discover/scanner.h"

namespace warmset {

struct ComfyUiFolder {
  std::string path;  // absolute
  std::string kind;  // "loras", under its current name; "" for a folder of several

  friend bool operator==(const ComfyUiFolder&, const ComfyUiFolder&) = default;
};

// The folders that a file names, each once; those of sections with is_default come
// first. Relative ones lie below their section's base_path, else beside the file.
// "~" is the user's home. Folders without models (custom_nodes, configs) are left
// out. Reads what such files are written in, not all of YAML: sections of keys
// with a value, plain, quoted or of several lines after "|".
// kInvalidConfig with the line for anything else.
StatusOr<std::vector<ComfyUiFolder>> ParseComfyUiPaths(std::string_view yaml,
                                                       const std::string& file_folder,
                                                       const std::string& home);

// Its folders as roots, scanned with the folders below them; those that are not there
// are no finding. Errors name the file.
StatusOr<std::vector<Root>> ReadComfyUiPaths(const std::string& path, const std::string& home);

}  // namespace warmset
