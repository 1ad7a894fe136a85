// What `warmset path` prints: names in the file system for sealed memory.
#pragma once

#include <map>
#include <string>

#include "base/digest.h"
#include "base/status.h"

namespace warmset {

// Where a name below a model's link folder points.
struct LinkTarget {
  int memory_fd = -1;   // of this process: /proc/<pid>/fd/<memory_fd>; or, when negative,
  std::string on_disk;  // a file on disk
};

// Keeps one folder per model below `folder`, with symlinks inside. A link to
// memory opens as a read-only file for any program of the same user as long as
// this process keeps the descriptor. The destructor removes everything. Loop
// thread only.
class PathLinks {
 public:
  // Removes what an earlier daemon left in the folder.
  static StatusOr<PathLinks> Create(std::string folder);
  PathLinks(PathLinks&& other) noexcept : folder_(std::exchange(other.folder_, {})) {}
  PathLinks& operator=(PathLinks&&) = delete;
  ~PathLinks();

  // Replaces the model's links by `targets` (keys: relative paths without "..")
  // and returns the path of the folder that holds them. On failure the model
  // has no links.
  StatusOr<std::string> Replace(const ModelId& model,
                                const std::map<std::string, LinkTarget>& targets);
  void Remove(const ModelId& model);

 private:
  explicit PathLinks(std::string folder) : folder_(std::move(folder)) {}
  std::string FolderOf(const ModelId& model) const;

  std::string folder_;
};

}  // namespace warmset
