// What `warmset path` prints: names in the file system for models' files in RAM.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/digest.h"
#include "base/status.h"
#include "os/memory_file.h"

namespace warmset {

// What a name below a model's folder stands for.
struct PathTarget {
  const os::MemoryFile* memory = nullptr;  // a file in RAM; or, when null,
  std::string on_disk{};                   // a file on disk, to which it is a link
};

// Keeps one folder per model on tmpfs. A guarded file is there under its own name: any
// program that may enter the folder opens it, in any process namespace, and so it stays
// when this process dies. A sealed one is a link to this process's descriptor: it opens
// for programs of the same user that see this process, as long as it lives.
//
// A model's folder has mode 0555 and its files 0400 (0444 where other users are allowed,
// whom the folder above lets in), so that no program changes them by mistake. The
// destructor removes everything. Loop thread only, but for MakeMemory().
class PathFolder {
 public:
  struct Place {
    std::string tmpfs;           // `path_dir`
    bool required = false;       // the user chose it: no other will do
    std::string name;            // of this daemon's folder there
    std::string instead;         // where links are, if tmpfs can't be used
    std::vector<uid_t> users{};  // that may read, too
  };
  // A file that an earlier daemon of that name filled and named.
  struct KnownFile {
    ComponentId component;
    uint64_t device = 0;
    uint64_t inode = 0;
    uint64_t size = 0;
  };
  // Keeps the known files that an earlier daemon left, for MakeMemory(), and removes all
  // else that it left. kInvalidConfig for a required place that is not on tmpfs, or that
  // others may write to.
  static StatusOr<PathFolder> Create(const Place& place, const std::vector<KnownFile>& known = {});
  PathFolder(PathFolder&& other) noexcept
      : folder_(std::exchange(other.folder_, {})),
        above_(std::move(other.above_)),
        unusable_(std::move(other.unusable_)),
        file_mode_(other.file_mode_),
        kept_(std::move(other.kept_)),
        left_(std::move(other.left_)) {}
  PathFolder& operator=(PathFolder&&) = delete;
  ~PathFolder();

  // Memory for a file that can have a name here; or, guarded already, what an earlier
  // daemon filled for that component, once. An error says why there is none: no tmpfs, or
  // not so much room on it. Thread-safe.
  StatusOr<os::MemoryFile> MakeMemory(const ComponentId& component, uint64_t bytes,
                                      const std::stop_token& stop) const;
  // No more of an earlier daemon's files are wanted: removes the folders of all models
  // but these.
  void RemoveAllBut(const std::vector<ModelId>& models);
  // The destructor leaves the model's folder: the next daemon takes its files over.
  void Keep(const ModelId& model);

  struct Placed {
    std::string folder;
    // Files that could not have a name though they are guarded: links in their place.
    std::map<std::string, Status> links;
  };
  // Makes the model's folder hold exactly `targets` (keys: relative paths without "..").
  // A name that is right stays as it is, any other is exchanged atomically: a program that
  // opens one of `targets` that was there before finds it at every moment. On failure the
  // names that could be made are there.
  StatusOr<Placed> Update(const ModelId& model, const std::map<std::string, PathTarget>& targets);
  // One name of the model's.
  void RemoveName(const ModelId& model, const std::string& name);
  void Remove(const ModelId& model);

 private:
  explicit PathFolder(std::string folder) : folder_(std::move(folder)) {}
  std::string FolderOf(const ModelId& model) const;
  // Where an earlier daemon left the component's file; empty, and from then on, for none.
  std::string TakeLeft(const ComponentId& component) const;
  // `named` says why there is a link in the place of a guarded file.
  Status PlaceName(const std::string& path, const PathTarget& target, Status& named) const;

  std::string folder_;
  std::string above_;  // `path_dir`, empty where that is not used
  Status unusable_;    // why it is not
  unsigned file_mode_ = 0;
  std::set<std::string> kept_;  // names of models' folders
  // Of an earlier daemon, by the component that they hold.
  struct Left {
    absl::Mutex mutex;
    std::unordered_map<ComponentId, std::string> paths ABSL_GUARDED_BY(mutex);
  };
  std::unique_ptr<Left> left_;
};

}  // namespace warmset
