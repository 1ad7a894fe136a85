// Opens the files of a model, and those that its files name, and no others.
#pragma once

#include <string>
#include <vector>

#include "inspect/inspect.h"

namespace warmset::cli {

// What was sighted is opened where it was sighted, symlinks followed: the user put
// them there. What a file names has to lie beneath the model's folder or, in a hub
// cache, its repo's; when the model's file is a symlink, also beside the real file.
// Not thread-safe; target's folder and files must outlive it.
class ModelFolder final : public FileProvider {
 public:
  ModelFolder(const std::string& folder, const ModelFiles& model)
      : folder_(folder), model_(model) {}
  StatusOr<os::UniqueFd> Open(const std::string& path) override;

 private:
  StatusOr<os::UniqueFd> OpenNamed(const std::string& path) const;

  const std::string& folder_;
  const ModelFiles& model_;
};

}  // namespace warmset::cli
