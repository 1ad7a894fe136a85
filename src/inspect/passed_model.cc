// Files that a client passed, as models of their own.
#include "fmt/format.h"
#include "inspect/inspect.h"
#include "os/file.h"

namespace warmset {

StatusOr<PassedModel> PassedModel::Of(int fd, const std::string& name) {
  RETURN_IF_ERROR(os::CheckReadableFile(fd));
  ModelFiles files;
  ASSIGN_OR_RETURN(const os::FileIdentity identity, os::Identify(fd));
  files.files.push_back({.path = name, .identity = identity, .claimed_hash = ""});
  return PassedModel(fd, std::move(files));
}

StatusOr<os::UniqueFd> PassedModel::Open(const std::string&) { return os::Duplicate(fd_); }

StatusOr<os::UniqueFd> PassedModel::OpenOther(const std::string& path) {
  return Error(ErrorCode::kIncompleteModel,
               fmt::format("it needs {} beside it, and was passed alone", path));
}

StatusOr<std::string> InspectFile(int fd, const std::string& name) {
  ASSIGN_OR_RETURN(PassedModel model, PassedModel::Of(fd, name));
  return InspectModel(model.files(), model);
}

}  // namespace warmset
