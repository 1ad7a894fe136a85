#include "daemon/path_folder.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "fmt/format.h"
#include "os/file.h"
#include "os/file_names.h"

namespace warmset {
namespace {

namespace fs = std::filesystem;

// Where a name is made before it takes its place.
constexpr std::string_view kStaged = "/.staged";

std::string LinkText(const PathTarget& target) {
  return target.memory_fd >= 0 ? fmt::format("/proc/{}/fd/{}", ::getpid(), target.memory_fd)
                               : target.on_disk;
}

bool IsRight(const std::string& path, const PathTarget& target) {
  std::error_code error;
  const fs::path text = fs::read_symlink(path, error);
  return !error && text == LinkText(target);
}

void SetWritable(const fs::path& folder, bool writable) {
  std::error_code ignored;
  fs::permissions(folder, fs::perms::owner_write,
                  writable ? fs::perm_options::add : fs::perm_options::remove, ignored);
}

// The folders of a tree, its top first.
std::vector<fs::path> FoldersIn(const fs::path& top) {
  std::vector<fs::path> folders = {top};
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(top, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (!it->is_symlink(ignored) && it->is_directory(ignored)) folders.push_back(it->path());
  }
  return folders;
}

// A tree that no other program can change by mistake, while this one does.
class WritableTree {
 public:
  explicit WritableTree(fs::path top) : top_(std::move(top)) { Set(true); }
  WritableTree(const WritableTree&) = delete;
  WritableTree& operator=(const WritableTree&) = delete;
  ~WritableTree() { Set(false); }

 private:
  void Set(bool writable) const {
    for (const fs::path& folder : FoldersIn(top_)) SetWritable(folder, writable);
  }
  const fs::path top_;
};

void RemoveTree(const fs::path& top) {
  std::error_code ignored;
  if (!fs::is_symlink(top, ignored) && fs::is_directory(top, ignored)) {
    for (const fs::path& folder : FoldersIn(top)) SetWritable(folder, true);
  }
  fs::remove_all(top, ignored);
}

void RemoveAllIn(const std::string& folder) {
  std::error_code error;
  std::vector<fs::path> items;
  for (const auto& item : fs::directory_iterator(folder, error)) items.push_back(item.path());
  for (const fs::path& item : items) RemoveTree(item);
}

// All names below a folder that are no folders, relative to it.
std::vector<std::string> NamesIn(const std::string& top) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(top, error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (it->is_symlink(ignored) || !it->is_directory(ignored)) {
      names.push_back(it->path().lexically_relative(top).string());
    }
  }
  return names;
}

Status MakeFolders(const fs::path& top, const fs::path& relative) {
  fs::path folder = top;
  for (const fs::path& part : relative) {
    folder /= part;
    std::error_code error;
    // In the place of a file, where the model has another layout now.
    if (fs::exists(fs::symlink_status(folder, error)) && !fs::is_directory(folder, error)) {
      RETURN_IF_ERROR(os::RemoveName(folder.string()));
    }
    error.clear();
    fs::create_directory(folder, error);
    if (error) return ErrnoError(error.value(), "create " + folder.string());
  }
  return OkStatus();
}

}  // namespace

StatusOr<PathFolder> PathFolder::Create(std::string folder) {
  RETURN_IF_ERROR(os::MakePrivateDirectory(folder));
  RemoveAllIn(folder);
  return PathFolder(std::move(folder));
}

PathFolder::~PathFolder() {
  if (!folder_.empty()) RemoveTree(folder_);
}

std::string PathFolder::FolderOf(const ModelId& model) const {
  return fmt::format("{}/{}", folder_, model.Hex().substr(0, 12));
}

Status PathFolder::Place(const std::string& path, const PathTarget& target) const {
  if (IsRight(path, target)) return OkStatus();
  std::error_code error;
  if (!fs::is_symlink(path, error) && fs::is_directory(path, error)) RemoveTree(path);
  const std::string staged = folder_ + std::string(kStaged);
  RETURN_IF_ERROR(os::RemoveName(staged));
  RETURN_IF_ERROR(os::MakeSymlink(LinkText(target), staged));
  return os::RenameOver(staged, path);
}

StatusOr<std::string> PathFolder::Update(const ModelId& model,
                                         const std::map<std::string, PathTarget>& targets) {
  const std::string folder = FolderOf(model);
  std::error_code error;
  fs::create_directory(folder, error);
  if (error) return ErrnoError(error.value(), "create " + folder);
  const WritableTree writable(folder);
  for (const auto& [name, target] : targets) {
    const fs::path relative = fs::path(name).relative_path();
    RETURN_IF_ERROR(MakeFolders(folder, relative.parent_path()));
    RETURN_IF_ERROR(Place((folder / relative).string(), target));
  }
  for (const std::string& name : NamesIn(folder)) {
    if (!targets.contains(name)) RETURN_IF_ERROR(os::RemoveName(folder + "/" + name));
  }
  return folder;
}

void PathFolder::Remove(const ModelId& model) { RemoveTree(FolderOf(model)); }

}  // namespace warmset
