// The files that a component is read from.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "inspect/manifest.h"
#include "os/bulk_reader.h"
#include "os/file.h"
#include "os/unique_fd.h"

namespace warmset {

struct SourceFile {
  std::string path;
  os::FileIdentity identity;  // under which its header was read
  // A descriptor that a client passed, read instead of opening the path.
  std::shared_ptr<const os::UniqueFd> passed;
};

// A part of a run that lies in one digest chunk of the entry.
struct SourceBlock {
  const os::BulkFile* file = nullptr;
  uint64_t file_offset = 0;
  uint64_t bytes = 0;
  uint64_t entry_offset = 0;

  uint64_t chunk() const { return entry_offset / kDigestChunkBytes; }
};

// A component's files while they are read. Immutable after Open, so thread-safe.
class OpenSources {
 public:
  // Opens the files that the component's runs need. kFileChanged when one is not
  // what the manifest was made from; if its digests are known, they will tell
  // about one whose ctime alone differs. The files must outlive the result.
  static StatusOr<OpenSources> Open(const ComponentManifest& component,
                                    std::span<const SourceFile> files, bool digests_known);

  // kFileChanged when a file changed since it was opened, as above.
  Status CheckUnchanged() const;

  // The component's runs in the order of the entry. They refer to this object.
  // kInternal when a run leaves the entry.
  StatusOr<std::vector<SourceBlock>> Blocks(const ComponentManifest& component) const;

 private:
  struct Opened {
    os::UniqueFd own;  // unless passed
    int fd = -1;
    std::unique_ptr<os::BulkFile> bulk;
  };
  OpenSources(std::span<const SourceFile> files, bool digests_known)
      : files_(files), digests_known_(digests_known) {}

  std::span<const SourceFile> files_;
  bool digests_known_;
  std::map<uint32_t, Opened> opened_;  // by FileRun::file
};

}  // namespace warmset
