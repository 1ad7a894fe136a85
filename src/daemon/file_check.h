// Whether a model's files still are what its manifest was made from.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "os/file.h"

namespace warmset {

struct ExpectedFile {
  std::string path;
  os::FileIdentity identity;
};

enum class FileState {
  kSame,
  kCtimeOnly,  // touched without a change of size and mtime: verify its content
  kChanged,    // another revision
  kGone,
};

struct FileCheck {
  FileState state = FileState::kSame;  // the worst of all files
  std::string path;                    // the first file in that state, empty for kSame
  std::vector<os::FileIdentity> now;   // of each file, unless one is gone
  bool local = false;  // all lie on this machine: checking them again need not block
};

// Stats every file; blocks. Other errors than a missing file are returned. What was
// known_local stays it while every file is the same: it has not left its device.
StatusOr<FileCheck> CheckFiles(const std::vector<ExpectedFile>& files, bool known_local = false);

}  // namespace warmset
