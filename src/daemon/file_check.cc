#include "daemon/file_check.h"

namespace warmset {
namespace {

FileState Compare(const os::FileIdentity& expected, const os::FileIdentity& now) {
  if (expected == now) return FileState::kSame;
  return os::SameButForCtime(expected, now) ? FileState::kCtimeOnly : FileState::kChanged;
}

}  // namespace

StatusOr<FileCheck> CheckFiles(const std::vector<ExpectedFile>& files) {
  FileCheck check;
  check.local = true;
  for (const ExpectedFile& file : files) {
    check.local = check.local && os::IsOnLocalFilesystem(file.path);
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
  return check;
}

}  // namespace warmset
