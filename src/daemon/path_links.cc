#include "daemon/path_links.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "fmt/format.h"
#include "os/file.h"

namespace warmset {
namespace fs = std::filesystem;

StatusOr<PathLinks> PathLinks::Create(std::string folder) {
  RETURN_IF_ERROR(os::MakePrivateDirectory(folder));
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder, error)) fs::remove_all(item, error);
  if (error) return ErrnoError(error.value(), "clear " + folder);
  return PathLinks(std::move(folder));
}

PathLinks::~PathLinks() {
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

std::string PathLinks::FolderOf(const ModelId& model) const {
  return fmt::format("{}/{}", folder_, model.Hex().substr(0, 12));
}

StatusOr<std::string> PathLinks::Replace(const ModelId& model,
                                         const std::map<std::string, LinkTarget>& targets) {
  Remove(model);
  const std::string folder = FolderOf(model);
  for (const auto& [name, target] : targets) {
    const fs::path link = fs::path(folder) / fs::path(name).relative_path();
    std::error_code error;
    fs::create_directories(link.parent_path(), error);
    const std::string to = target.memory_fd >= 0
                               ? fmt::format("/proc/{}/fd/{}", ::getpid(), target.memory_fd)
                               : target.on_disk;
    if (!error) fs::create_symlink(to, link, error);
    if (error) {
      Remove(model);
      return ErrnoError(error.value(), "link " + link.string());
    }
  }
  return folder;
}

void PathLinks::Remove(const ModelId& model) {
  std::error_code ignored;
  fs::remove_all(FolderOf(model), ignored);
}

}  // namespace warmset
