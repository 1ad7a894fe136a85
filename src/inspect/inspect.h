// From a model's open files to its manifest.
//
// Shaped so that another process can do it: what goes in is plain data and
// descriptors, what comes out is a serialised Manifest. Nothing here opens a
// path, and a name found inside a file can only choose among the files given.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "inspect/manifest.h"
#include "os/unique_fd.h"

namespace warmset {

// The files that make up one model, as a scan or a client found them: weights
// and the JSON files that say how they belong together.
struct ModelFiles {
  ModelLayout layout = ModelLayout::kFile;
  // Paths relative to the model's folder. Of kFile, the first is the model, and the
  // others may hold its data; of kOllama, the first is the manifest.
  std::vector<ManifestFile> files;
  // What ComfyUI would look for in the model's folder ("loras"), or empty: a hint.
  std::string folder_kind = {};
};

// Gives out the files of one model. Implementations say whether they are
// thread-safe; InspectModel calls from one thread.
class FileProvider {
 public:
  virtual ~FileProvider() = default;
  // A readable regular file, one of ModelFiles::files, by its path there.
  virtual StatusOr<os::UniqueFd> Open(const std::string& path) = 0;
  // The same for a path that comes out of a file of the model, relative to the
  // model's folder: kIncompleteModel when there is no such file, kUnsafeModel for
  // one outside of what the model may use.
  virtual StatusOr<os::UniqueFd> OpenOther(const std::string& path) { return Open(path); }
};

// Reads headers and the small JSON files, never tensor data. What is wrong with
// the model is a finding of the manifest, and what could be read in spite of it
// is there. An error only when nothing can be said: kFileChanged when a file is
// replaced meanwhile, kPermissionDenied, kIoError, kInvalidRequest.
StatusOr<std::string> InspectModel(const ModelFiles& model, FileProvider& provider);

// One file that a client passed, as a model of its own. The descriptor stays the
// caller's and must outlive it; it gives out copies. Thread-safe.
class PassedModel final : public FileProvider {
 public:
  // name is for messages and the manifest's file. kInvalidRequest unless the
  // descriptor is a regular file that is open for reading.
  static StatusOr<PassedModel> Of(int fd, const std::string& name);

  const ModelFiles& files() const { return files_; }
  StatusOr<os::UniqueFd> Open(const std::string& path) override;
  StatusOr<os::UniqueFd> OpenOther(const std::string& path) override;

 private:
  PassedModel(int fd, ModelFiles files) : fd_(fd), files_(std::move(files)) {}
  int fd_;
  ModelFiles files_;
};

// InspectModel() of a file that a client passed.
StatusOr<std::string> InspectFile(int fd, const std::string& name);

// A component that covers one whole file of the manifest byte for byte, with all
// of its tensors: what `warmset path` serves of a file that is split into
// components, and what a client gets that asks by descriptor for one shard. The
// manifest's own component if it is just that. kInvalidRequest when the manifest
// has no such file; kCorruptedModel when its tensor indexes are damaged.
StatusOr<ComponentManifest> WholeFileComponent(const Manifest& manifest, uint32_t file_index);

}  // namespace warmset
