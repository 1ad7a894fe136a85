#include "inspection/model_folder.h"

#include <algorithm>

#include "discover/hub_names.h"
#include "fmt/format.h"
#include "os/directory.h"
#include "os/file.h"

namespace warmset::cli {
namespace {

StatusOr<os::UniqueFd> OpenBeneath(const std::string& folder, const std::string& path) {
  ASSIGN_OR_RETURN(const os::UniqueFd root, os::OpenDirectory(folder));
  return os::OpenBeneath(root.get(), path);
}

}  // namespace

StatusOr<os::UniqueFd> ModelFolder::Open(const std::string& path) {
  const bool sighted =
      std::any_of(model_.files.begin(), model_.files.end(),
                  [&](const ManifestFile& file) { return file.path == path; });
  if (sighted) return os::OpenForRead(folder_ + "/" + path);
  auto fd = OpenNamed(path);
  if (!fd.ok() && CodeOf(fd.status()) == ErrorCode::kPermissionDenied) {
    return Error(ErrorCode::kUnsafeModel,
                 fmt::format("{} is named and leads out of the model's folder", path));
  }
  return fd;
}

StatusOr<os::UniqueFd> ModelFolder::OpenNamed(const std::string& path) const {
  const std::string root = RepoFolderOf(folder_).value_or(folder_);
  const std::string within =
      root.size() < folder_.size() ? folder_.substr(root.size() + 1) + "/" + path : path;
  auto fd = OpenBeneath(root, within);
  if (fd.ok() || CodeOf(fd.status()) != ErrorCode::kFileNotFound || model_.files.empty()) return fd;
  const auto real = os::CanonicalPath(folder_ + "/" + model_.files.front().path);
  if (!real.ok()) return fd;
  const std::string beside = real->substr(0, real->rfind('/'));
  return beside == folder_ ? std::move(fd) : OpenBeneath(beside.empty() ? "/" : beside, path);
}

}  // namespace warmset::cli
