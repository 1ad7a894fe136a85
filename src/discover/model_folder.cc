#include "discover/model_folder.h"

#include <filesystem>
#include <optional>

#include "discover/hub_blobs.h"
#include "discover/hub_names.h"
#include "fmt/format.h"
#include "os/directory.h"
#include "os/file.h"

namespace warmset {
namespace {

// What a path says by itself, before anything is looked up.
Status CheckPath(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    return Error(ErrorCode::kCorruptedModel, "a file is named that can't have that name");
  }
  const std::filesystem::path parts(path);
  bool leads_out = parts.is_absolute();
  for (const auto& part : parts) leads_out = leads_out || part == "..";
  if (!leads_out) return OkStatus();
  return Error(ErrorCode::kUnsafeModel,
               fmt::format("'{}' leads out of the model's folder", path));
}

}  // namespace

StatusOr<os::UniqueFd> ModelFolder::Open(const std::string& path) {
  return os::OpenForRead(folder_ + "/" + path);
}

StatusOr<os::UniqueFd> ModelFolder::OpenOther(const std::string& path) {
  RETURN_IF_ERROR(CheckPath(path));
  const std::optional<std::string> repo = RepoFolderOf(folder_);
  if (repo) {
    auto fd = OpenBeneath(*repo, folder_.substr(repo->size() + 1) + "/" + path);
    if (CodeOf(fd.status()) == ErrorCode::kUnsafeModel) {
      if (auto shared = OpenShared(*repo, folder_ + "/" + path); shared.ok()) return shared;
    }
    // The real model lies among the blobs, and so may its data.
    if (CodeOf(fd.status()) == ErrorCode::kIncompleteModel) {
      if (auto beside = OpenBeneath(*repo, "blobs/" + path); beside.ok()) return beside;
    }
    return fd;
  }
  ASSIGN_OR_RETURN(os::UniqueFd fd, OpenBeneath(folder_, path));
  ASSIGN_OR_RETURN(const uint64_t links, os::CountLinks(fd.get()));
  if (links == 1) return fd;
  return Error(ErrorCode::kUnsafeModel,
               fmt::format("{} is a hard link, which may lead out of the model's folder; put a "
                           "copy in its place",
                           path));
}

StatusOr<os::UniqueFd> ModelFolder::OpenShared(const std::string& repo,
                                               const std::string& link) const {
  ASSIGN_OR_RETURN(const std::string target, os::CanonicalPath(repo));
  const auto payload = SharedBlobOf(link, target);
  if (!payload) return Error(ErrorCode::kUnsafeModel, "no shared blob");
  const std::string cache = ParentOf(target);
  return OpenBeneath(cache, payload->substr(cache.size() + 1));
}

StatusOr<os::UniqueFd> ModelFolder::OpenBeneath(const std::string& root,
                                                const std::string& path) const {
  ASSIGN_OR_RETURN(const os::UniqueFd folder, os::OpenDirectory(root));
  auto fd = os::OpenBeneath(folder.get(), path);
  if (CodeOf(fd.status()) == ErrorCode::kFileNotFound) {
    return Error(ErrorCode::kIncompleteModel,
                 fmt::format("{} is named but not there; download it again", path));
  }
  if (CodeOf(fd.status()) == ErrorCode::kInvalidRequest) {
    return Error(ErrorCode::kCorruptedModel, std::string(Message(fd.status())));
  }
  return fd;
}

}  // namespace warmset
