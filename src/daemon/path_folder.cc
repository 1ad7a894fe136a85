#include "daemon/path_folder.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "base/units.h"
#include "fmt/format.h"
#include "os/file.h"
#include "os/file_names.h"
#include "os/tmpfs.h"
#include "spdlog/spdlog.h"

namespace warmset {
namespace {

namespace fs = std::filesystem;

// Where a name is made before it takes its place.
constexpr std::string_view kStaged = "/.staged";

std::string LinkText(const PathTarget& target) {
  return target.memory != nullptr ? fmt::format("/proc/{}/fd/{}", ::getpid(), target.memory->fd())
                                  : target.on_disk;
}

bool IsLinkTo(const std::string& path, const PathTarget& target) {
  std::error_code error;
  const fs::path text = fs::read_symlink(path, error);
  return !error && text == LinkText(target);
}

// A name of the guarded file itself.
bool IsNameOf(const std::string& path, const os::MemoryFile& file) {
  std::error_code error;
  if (!fs::is_regular_file(fs::symlink_status(path, error))) return false;
  const auto named = os::IdentifyPath(path);
  const auto wanted = os::Identify(file.fd());
  return named.ok() && wanted.ok() && named->device == wanted->device &&
         named->inode == wanted->inode;
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

std::vector<fs::path> ItemsIn(const std::string& folder) {
  std::vector<fs::path> items;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder, error)) items.push_back(item.path());
  return items;
}

// Of what an earlier daemon left, only the known files stay, and links to the disk beside
// them. Returns where they are.
std::unordered_map<ComponentId, std::string> RemoveUnknownIn(
    const std::string& folder, const std::vector<PathFolder::KnownFile>& known) {
  std::map<std::pair<uint64_t, uint64_t>, const PathFolder::KnownFile*> by_inode;
  for (const PathFolder::KnownFile& file : known) by_inode[{file.device, file.inode}] = &file;
  std::unordered_map<ComponentId, std::string> paths;
  for (const fs::path& item : ItemsIn(folder)) {
    bool any = false;
    const WritableTree writable(item);
    for (const std::string& name : NamesIn(item.string())) {
      const std::string path = (item / name).string();
      std::error_code error;
      if (fs::is_symlink(path, error)) {
        if (fs::read_symlink(path, error).string().starts_with("/proc/")) fs::remove(path, error);
        continue;
      }
      const auto identity = os::IdentifyPath(path);
      const auto found =
          identity.ok() ? by_inode.find({identity->device, identity->inode}) : by_inode.end();
      if (found == by_inode.end() || identity->size != found->second->size) {
        fs::remove(path, error);
        continue;
      }
      paths[found->second->component] = path;
      any = true;
    }
    if (!any) RemoveTree(item);
  }
  return paths;
}

// Makes the folder on tmpfs ready for this daemon.
Status Prepare(const PathFolder::Place& place, const std::string& own) {
  RETURN_IF_ERROR(os::MakePrivateDirectory(place.tmpfs));
  if (!os::IsTmpfs(place.tmpfs)) {
    return Error(ErrorCode::kInvalidConfig, place.tmpfs + " does not lie in memory (tmpfs)");
  }
  RETURN_IF_ERROR(os::MakePrivateDirectory(own));
  for (const std::string& folder : {place.tmpfs, own}) {
    // Programs of the daemon's user go on without.
    const Status allowed = os::AllowUsers(folder, place.users);
    if (!allowed.ok()) spdlog::warn("{}", Message(allowed));
  }
  return OkStatus();
}

}  // namespace

StatusOr<PathFolder> PathFolder::Create(const Place& place, const std::vector<KnownFile>& known) {
  const std::string own = place.tmpfs + "/" + place.name;
  const Status usable = Prepare(place, own);
  if (!usable.ok() && place.required) {
    return Error(ErrorCode::kInvalidConfig, fmt::format("path_dir: {}", Message(usable)));
  }
  if (!usable.ok()) {
    spdlog::warn("files of `warmset path` are links to this process's memory: {}", Message(usable));
    RETURN_IF_ERROR(os::MakePrivateDirectory(place.instead));
  }
  PathFolder made(usable.ok() ? own : place.instead);
  made.unusable_ = usable;
  if (usable.ok()) made.above_ = place.tmpfs;
  made.file_mode_ = place.users.empty() ? 0400 : 0444;
  made.left_ = std::make_unique<Left>();
  absl::MutexLock lock(&made.left_->mutex);
  made.left_->paths = RemoveUnknownIn(made.folder_, known);
  return made;
}

PathFolder::~PathFolder() {
  if (folder_.empty()) return;
  for (const fs::path& item : ItemsIn(folder_)) {
    if (!kept_.contains(item.filename().string())) RemoveTree(item);
  }
  std::error_code ignored;  // what is not empty stays
  fs::remove(folder_, ignored);
  if (!above_.empty()) fs::remove(above_, ignored);  // unless another daemon's folder is there
}

StatusOr<os::MemoryFile> PathFolder::MakeMemory(const ComponentId& component, uint64_t bytes,
                                                const std::stop_token& stop) const {
  RETURN_IF_ERROR(unusable_);
  if (const std::string path = TakeLeft(component); !path.empty()) {
    auto file = os::MemoryFile::Guard(path);
    if (file.ok()) return file;
    spdlog::info("{} is not taken over: {}", path, Message(file.status()));
  }
  ASSIGN_OR_RETURN(const ByteCount free, os::FreeBytes(folder_));
  if (free < ByteCount(bytes)) {
    return Error(ErrorCode::kIoError,
                 fmt::format("{} are needed in {} and {} are free; enlarge that tmpfs (docker: "
                             "--shm-size), or set path_dir to one with more room",
                             FormatSize(ByteCount(bytes)), above_, FormatSize(free)));
  }
  return os::MemoryFile::CreateOnTmpfs(folder_, bytes, stop);
}

std::string PathFolder::TakeLeft(const ComponentId& component) const {
  absl::MutexLock lock(&left_->mutex);
  const auto node = left_->paths.extract(component);
  return node.empty() ? std::string() : node.mapped();
}

void PathFolder::RemoveAllBut(const std::vector<ModelId>& models) {
  {
    absl::MutexLock lock(&left_->mutex);
    left_->paths.clear();
  }
  std::set<std::string> stay;
  for (const ModelId& model : models) stay.insert(fs::path(FolderOf(model)).filename().string());
  for (const fs::path& item : ItemsIn(folder_)) {
    if (!stay.contains(item.filename().string())) RemoveTree(item);
  }
}

void PathFolder::Keep(const ModelId& model) {
  kept_.insert(fs::path(FolderOf(model)).filename().string());
}

std::string PathFolder::FolderOf(const ModelId& model) const {
  return fmt::format("{}/{}", folder_, model.Hex().substr(0, 12));
}

Status PathFolder::PlaceName(const std::string& path, const PathTarget& target,
                             Status& named) const {
  const bool guarded = target.memory != nullptr && target.memory->guarded();
  if (guarded) named = os::SetMode(target.memory->fd(), file_mode_);
  if (guarded ? IsNameOf(path, *target.memory) : IsLinkTo(path, target)) return OkStatus();
  std::error_code error;
  if (!fs::is_symlink(path, error) && fs::is_directory(path, error)) RemoveTree(path);
  const std::string staged = folder_ + std::string(kStaged);
  RETURN_IF_ERROR(os::RemoveName(staged));
  if (guarded && named.ok()) named = os::LinkFile(target.memory->fd(), staged);
  if (!guarded || !named.ok()) {
    if (IsLinkTo(path, target)) return OkStatus();
    RETURN_IF_ERROR(os::MakeSymlink(LinkText(target), staged));
  }
  return os::RenameOver(staged, path);
}

StatusOr<PathFolder::Placed> PathFolder::Update(const ModelId& model,
                                                const std::map<std::string, PathTarget>& targets) {
  const std::string folder = FolderOf(model);
  std::error_code error;
  fs::create_directory(folder, error);
  if (error) return ErrnoError(error.value(), "create " + folder);
  const WritableTree writable(folder);
  Placed placed{folder, {}};
  for (const auto& [name, target] : targets) {
    const fs::path relative = fs::path(name).relative_path();
    RETURN_IF_ERROR(MakeFolders(folder, relative.parent_path()));
    Status named;
    RETURN_IF_ERROR(PlaceName((folder / relative).string(), target, named));
    if (!named.ok()) placed.links.emplace(name, named);
  }
  for (const std::string& name : NamesIn(folder)) {
    if (!targets.contains(name)) RETURN_IF_ERROR(os::RemoveName(folder + "/" + name));
  }
  return placed;
}

void PathFolder::RemoveName(const ModelId& model, const std::string& name) {
  const std::string folder = FolderOf(model);
  const WritableTree writable(folder);
  if (const Status removed = os::RemoveName(folder + "/" + name); !removed.ok()) {
    spdlog::warn("{}", Message(removed));
  }
}

void PathFolder::Remove(const ModelId& model) { RemoveTree(FolderOf(model)); }

}  // namespace warmset
