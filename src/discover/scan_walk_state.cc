#include "discover/scan_walk_state.h"

#include <algorithm>
#include <filesystem>

#include "discover/folder_kinds.h"
#include "discover/hub_blobs.h"
#include "discover/hub_names.h"
#include "fmt/format.h"
#include "inspect/access_record.h"
#include "inspect/model_config.h"
#include "inspect/unfinished.h"
#include "inspect/weight_sets.h"

namespace warmset {
namespace {

bool IsOfInterest(std::string_view name) {
  return MayBeWeightsFile(name) || ParseIndexName(name) || IsOnnxData(name) ||
         name == "config.json" || name == "model_index.json" || name == kAdapterConfigName ||
         name == kAccessRecordName;
}

// Paths go into messages as they are only when they can be shown.
std::string Shown(std::string_view path) {
  if (IsPrintable(path)) return std::string(path);
  std::string shown;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    shown += byte >= 0x20 && byte < 0x7f ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
  }
  return shown;
}

bool LiesBelow(const std::string& path, const std::string& folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

// A file of a snapshot that has another size than its commit.
Status NotAsInTree(uint64_t size, uint64_t in_tree) {
  if (size < in_tree) {
    return Error(ErrorCode::kIncompleteModel,
                 fmt::format("{} of {} bytes are there; download it again", size, in_tree));
  }
  return Error(ErrorCode::kIncompleteModel,
               fmt::format("it has {} bytes and its commit {}: it was changed after it came, or is "
                           "of another commit; download it again",
                           size, in_tree));
}

// True for what a file says when it is read again, too.
bool IsLasting(const Status& error) {
  return CodeOf(error) == ErrorCode::kCorruptedModel || CodeOf(error) == ErrorCode::kUnsafeModel ||
         CodeOf(error) == ErrorCode::kInvalidRequest;
}

}  // namespace

std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }
std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

bool Folder::HasFolder(std::string_view name) const {
  return std::any_of(folders.begin(), folders.end(),
                     [name](const auto& entry) { return entry.first == name; });
}

std::optional<os::FileType> Folder::TypeOf(std::string_view name) const {
  for (const os::DirectoryEntry& entry : entries) {
    if (entry.name == name) return entry.type;
  }
  return std::nullopt;
}

std::optional<Folder> ScanWalkState::List(const std::string& path, const Place& place) {
  return ListFor(path, place, "");
}

std::optional<Folder> ScanWalkState::ListFor(const std::string& path, const Place& place,
                                             const std::string& name) {
  auto folder = ListEntries(path, place);
  if (!folder) return std::nullopt;
  for (const os::DirectoryEntry& entry : folder->entries) {
    const bool hidden = entry.name.starts_with('.') && entry.name != kAccessRecordName;
    const bool asked_for = entry.name == name;
    if (hidden && !asked_for) continue;
    if (entry.type == os::FileType::kRegular && !asked_for &&
        IsUnfinished(*folder, entry.name, /*note=*/name.empty())) {
      continue;
    }
    if (!asked_for && !IsPrintable(entry.name)) {
      NoteUnprintable(*folder, entry);
      continue;
    }
    AddEntry(*folder, entry, place, asked_for || IsOfInterest(entry.name));
  }
  return folder;
}

bool ScanWalkState::IsUnfinished(Folder& folder, const std::string& name, bool note) {
  if (const auto file = FileOfControlFile(name)) {
    folder.unfinished.emplace(*file);
    return true;
  }
  if (!IsPrintable(name) || !UnfinishedNameOf(name)) return false;
  if (note) {
    Note(folder.path + "/" + name, ErrorCode::kIncompleteModel,
         "a download that is not finished; let it go on, or remove it");
  }
  return true;
}

bool ScanWalkState::Enter(const std::string& folder) {
  if (!pace_.enter || pace_.enter(folder)) return true;
  NoteUnreadable(folder, Error(ErrorCode::kTimeout,
                               "it does not answer, so what is known below it stays as it was; "
                               "look at the disk or the server"));
  return false;
}

std::optional<Folder> ScanWalkState::ListEntries(const std::string& path, const Place& place) {
  if (!Enter(path)) return std::nullopt;
  auto fd = os::OpenDirectory(path);
  if (!fd.ok()) {
    NoteUnreadable(path, fd.status());
    return std::nullopt;
  }
  const auto identity = os::Identify(fd->get());
  auto entries = os::ListDirectory(fd->get());
  const Status& status = identity.ok() ? entries.status() : identity.status();
  if (!status.ok()) {
    NoteUnreadable(path, status);
    return std::nullopt;
  }
  if (!visited_.emplace(identity->device, identity->inode).second) return std::nullopt;
  walk_.folders[place.root].push_back(path);
  if (progress_) progress_(walk_.files, path);
  Folder folder;
  folder.path = path;
  folder.fd = *std::move(fd);
  folder.entries = *std::move(entries);
  return folder;
}

void ScanWalkState::NoteUnprintable(const Folder& folder, const os::DirectoryEntry& entry) {
  const bool may_hold_models = entry.type == os::FileType::kDirectory ||
                               entry.type == os::FileType::kSymlink ||
                               (entry.type == os::FileType::kRegular && IsOfInterest(entry.name));
  if (!may_hold_models) return;
  Note(folder.path + "/" + entry.name, ErrorCode::kInvalidName,
       "its name has control characters or is not UTF-8; rename it");
}

void ScanWalkState::AddEntry(Folder& folder, const os::DirectoryEntry& entry, const Place& place,
                             bool of_interest) {
  const bool symlink = entry.type == os::FileType::kSymlink;
  if (entry.type == os::FileType::kOther ||
      (entry.type == os::FileType::kRegular && !of_interest)) {
    return;
  }
  const std::string path = folder.path + "/" + entry.name;
  if (entry.type == os::FileType::kDirectory) {
    folder.folders.emplace_back(entry.name, false);
    return;
  }
  if (pace_.step) pace_.step();
  const auto stat = os::StatAt(folder.fd.get(), entry.name);
  if (symlink) {
    if (auto wrong = CheckLink(folder, entry.name, place, stat.status())) {
      if (of_interest) {
        folder.unusable.emplace(entry.name, *std::move(wrong));
      } else if (place.in_hub()) {
        Note(path, CodeOfVerdict(wrong->verdict), wrong->message);
      }
      return;
    }
  }
  if (!stat.ok()) {
    if (of_interest) Note(path, CodeOf(stat.status()), Message(stat.status()));
    return;
  }
  if (stat->type == os::FileType::kDirectory) {
    folder.folders.emplace_back(entry.name, true);
  } else if (stat->type == os::FileType::kRegular && of_interest) {
    AddFile(folder, entry.name, stat->identity, symlink, place);
  }
}

void ScanWalkState::AddFile(Folder& folder, const std::string& name,
                            const os::FileIdentity& identity, bool symlink, const Place& place) {
  FoundFile found{.identity = identity, .claimed_hash = ""};
  if (symlink && place.in_hub()) {
    const auto target = os::ReadLinkAt(folder.fd.get(), name);
    if (target.ok()) found.claimed_hash = ClaimedHashOf(*target);
  }
  if (const HubFile* const in_tree = place.InTree(name)) {
    // Other files are changed by users.
    const bool is_weights = MayBeWeightsFile(name) || IsOnnxData(name);
    if (is_weights && in_tree->size != identity.size) {
      folder.unusable.emplace(name, FindingOf(NotAsInTree(identity.size, in_tree->size), name));
      return;
    }
    if (found.claimed_hash.empty() && is_weights) found.claimed_hash = in_tree->claimed_hash;
  }
  folder.files.emplace(name, std::move(found));
}

std::optional<Finding> ScanWalkState::CheckLink(const Folder& folder, const std::string& name,
                                                const Place& place, const Status& target) const {
  const auto finding = [&](ErrorCode code, std::string_view message) {
    return FindingOf(Error(code, message), name);
  };
  constexpr std::string_view kNowhere =
      "a symlink that leads nowhere; download the file again, or remove the link";
  constexpr std::string_view kOut =
      "a symlink that leads out of its repo; remove it and download the file again";
  if (!place.in_hub()) {
    if (target.ok() || CodeOf(target) == ErrorCode::kPermissionDenied) return std::nullopt;
    return finding(ErrorCode::kIncompleteModel, kNowhere);
  }
  if (target.ok()) {
    const auto canonical = os::CanonicalPath(folder.path + "/" + name);
    if (canonical.ok() && LiesBelow(*canonical, place.repo_target)) return std::nullopt;
    if (SharedBlobOf(folder.path + "/" + name, place.repo_target)) return std::nullopt;
    return finding(ErrorCode::kUnsafeModel, kOut);
  }
  // By its text: there is nothing to resolve.
  const auto text = os::ReadLinkAt(folder.fd.get(), name);
  const auto here = os::CanonicalPath(folder.path);
  if (text.ok() && here.ok()) {
    const auto path = (std::filesystem::path(*here) / *text).lexically_normal();
    if (!LiesBelow(path.string(), place.repo_target)) {
      return finding(ErrorCode::kUnsafeModel, kOut);
    }
  }
  return finding(ErrorCode::kCorruptedModel, kNowhere);
}

std::optional<Place> ScanWalkState::Below(const Folder& folder, const Place& place,
                                          const std::string& name, bool symlink) {
  Place below = place;
  below.id += "/" + name;
  if (const std::string_view kind = FolderKindOf(name); !kind.empty()) below.folder_kind = kind;
  if (place.in_hub()) {
    // A link that leads out was told when the folder was listed.
    below.prefix += "/" + name;
    below.in_snapshot += name + "/";
  } else if (symlink) {
    // Since the folder was listed others were at hand.
    if (pace_.enter && !pace_.enter(folder.path)) return std::nullopt;
    const auto canonical = os::CanonicalPath(folder.path + "/" + name);
    if (!canonical.ok()) return std::nullopt;
    below.id = *canonical;
  }
  return below;
}

std::vector<std::string> ScanWalkState::NamedFiles(const std::string& path,
                                                   const os::FileIdentity& identity) {
  if (const auto known = before_.lists.find(identity); known != before_.lists.end()) {
    return used_.lists.insert(*known).first->second;
  }
  const auto fd = os::OpenForRead(path);
  if (!fd.ok()) return {};
  auto names = lister_.ShardsOf(fd->get());
  if (!names.ok() && !IsLasting(names.status())) return {};
  std::vector<std::string> list;
  if (names.ok()) list = *std::move(names);
  std::erase_if(list, [](const std::string& name) { return !IsBareName(name); });
  return used_.lists.insert_or_assign(identity, std::move(list)).first->second;
}

std::shared_ptr<const HubTree> ScanWalkState::TreeOf(const std::string& repo,
                                                     const std::string& commit) {
  const auto fd = os::OpenForRead(repo + "/trees/" + commit + ".json");
  if (!fd.ok()) return nullptr;
  const auto identity = os::Identify(fd->get());
  if (!identity.ok()) return nullptr;
  if (const auto known = before_.trees.find(*identity); known != before_.trees.end()) {
    return used_.trees.insert(*known).first->second;
  }
  auto tree = lister_.TreeOf(fd->get());
  if (!tree.ok() && !IsLasting(tree.status())) return nullptr;
  std::shared_ptr<HubTree> kept;
  if (tree.ok()) {
    kept = std::make_shared<HubTree>(*std::move(tree));
    std::erase_if(kept->files,
                  [](const HubFile& file) { return !IsOfInterest(BaseName(file.path)); });
    kept->files.shrink_to_fit();
  }
  return used_.trees.insert_or_assign(*identity, std::move(kept)).first->second;
}

void ScanWalkState::Sight(Sighting sighting, std::string_view id_text) {
  sighting.id = DigestOf<ModelId>(AsBytes(id_text));
  if (!seen_ids_.insert(sighting.id).second) return;
  SetRevision(sighting);
  walk_.sightings.push_back(std::move(sighting));
}

void ScanWalkState::Note(std::string_view path, ErrorCode code, std::string_view message) {
  walk_.findings.push_back({Shown(path), code, std::string(message)});
}

void ScanWalkState::NoteUnreadable(const std::string& path, const Status& status) {
  if (CodeOf(status) != ErrorCode::kFileNotFound) walk_.unreadable.push_back(path);
  Note(path, CodeOf(status), Message(status));
}

ScanWalk ScanWalkState::Take() {
  before_ = std::move(used_);
  return std::move(walk_);
}

}  // namespace warmset
