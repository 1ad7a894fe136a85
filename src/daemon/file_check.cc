#include "daemon/file_check.h"

#include <algorithm>

namespace warmset {
namespace {

FileState Compare(const os::FileIdentity& expected, const os::FileIdentity& now) {
  if (expected == now) return FileState::kSame;
  return os::SameButForCtime(expected, now) ? FileState::kCtimeOnly : FileState::kChanged;
}

}  // namespace

StatusOr<FileCheck> CheckFiles(const std::vector<ExpectedFile>& files, bool known_local) {
  FileCheck check;
  for (const ExpectedFile& file : files) {
    const auto now = os::IdentifyPath(file.path);
    FileState state = FileState::kGone;
    if (now.ok()) {
      check.now.push_back(*now);
      state = Compare(file.identity, *now);
    } else if (CodeOf(now.status()) != ErrorCode::kFileNotFound) {
      return now.status();
    }
    if (state > check.state) {
      check.state = state;
      check.path = file.path;
    }
  }
  check.local = (known_local && check.state == FileState::kSame) ||
                std::all_of(files.begin(), files.end(), [](const ExpectedFile& file) {
                  return os::IsOnLocalFilesystem(file.path);
                });
  return check;
}

}  // namespace warmset
