// What `warmset path` prints: names in the file system for models' files in RAM.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "base/digest.h"
#include "base/status.h"

namespace warmset {

// What a name below a model's folder stands for.
struct PathTarget {
  int memory_fd = -1;  // of this process: a link to /proc/<pid>/fd/<memory_fd>; or, when negative,
  std::string on_disk{};  // a link to a file on disk
};

// Keeps one folder per model below `folder`. A link to memory opens as a read-only
// file for any program of the same user as long as this process keeps the
// descriptor. A folder has mode 0555, so that no other program changes it by
// mistake. The destructor removes everything. Loop thread only.
class PathFolder {
 public:
  // Removes what an earlier daemon left in the folder.
  static StatusOr<PathFolder> Create(std::string folder);
  PathFolder(PathFolder&& other) noexcept : folder_(std::exchange(other.folder_, {})) {}
  PathFolder& operator=(PathFolder&&) = delete;
  ~PathFolder();

  // Makes the model's folder hold exactly `targets` (keys: relative paths without "..")
  // and returns its path. A name that is right stays as it is, any other is exchanged
  // atomically: a program that opens one of `targets` that was there before finds it at
  // every moment. On failure the names that could be made are there.
  StatusOr<std::string> Update(const ModelId& model,
                               const std::map<std::string, PathTarget>& targets);
  void Remove(const ModelId& model);

 private:
  explicit PathFolder(std::string folder) : folder_(std::move(folder)) {}
  std::string FolderOf(const ModelId& model) const;
  Status Place(const std::string& path, const PathTarget& target) const;

  std::string folder_;
};

}  // namespace warmset
