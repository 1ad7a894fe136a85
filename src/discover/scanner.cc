#include "discover/scanner.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_set>
#include <utility>

#include "base/byte_reader.h"
#include "base/strong.h"
#include "discover/hub_names.h"
#include "fmt/format.h"
#include "inspect/shard_index.h"
#include "inspect/weight_sets.h"
#include "os/directory.h"

namespace warmset {
namespace {

// What programs call the weights of any model: the folder's name tells more.
bool IsGenericStem(std::string_view stem) {
  return stem == "model" || stem == "diffusion_pytorch_model" || stem == "adapter_model" ||
         stem == "pytorch_model";
}

std::string_view StemOf(std::string_view file) { return file.substr(0, file.rfind('.')); }

constexpr int kMaxDepth = 64;
constexpr size_t kMaxIndexBytes = 128 * kMiB;
constexpr size_t kMaxRefBytes = 4096;
constexpr size_t kShortCommit = 8;

std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }
std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

bool IsOfInterest(std::string_view name) {
  return IsWeightsFile(name) || IndexStem(name) || name == "config.json" ||
         name == "model_index.json";
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

RevisionId RevisionOf(const ModelFiles& model) {
  ByteWriter out;
  out.Write(static_cast<uint8_t>(model.layout));
  for (const ManifestFile& file : model.files) {
    out.WriteString(file.path);
    out.WriteString(file.content_hash);
    out.Write(file.identity.device);
    out.Write(file.identity.inode);
    out.Write(file.identity.size);
    out.Write(file.identity.mtime_ns);
    out.Write(file.identity.ctime_ns);
  }
  return DigestOf<RevisionId>(AsBytes(out.data()));
}

// How what lies in a folder is named and identified.
struct Place {
  std::string root;    // as configured
  std::string id;      // canonical: what ModelIds are made of
  std::string prefix;  // hub: "org/name[@commit]" and the folders below it; else empty
  std::string parent;  // hub: the cache's folder
  bool in_hub() const { return !prefix.empty(); }
};

struct FoundFile {
  os::FileIdentity identity;
  std::string content_hash;
};

struct Folder {
  std::string path;
  os::UniqueFd fd;
  std::map<std::string, FoundFile> files;             // only those of interest
  std::vector<std::pair<std::string, bool>> folders;  // name, and whether it is a symlink
};

class WalkInProgress {
 public:
  WalkInProgress(ShardListCache& shard_lists, Scanner::Progress progress, std::stop_token stop)
      : shard_lists_(shard_lists), progress_(std::move(progress)), stop_(std::move(stop)) {}

  // Visits a folder at or below a root.
  void Start(const std::string& root, const std::string& start, bool deep) {
    const auto canonical = os::CanonicalPath(start);
    if (!canonical.ok()) {
      NoteUnreadable(start, canonical.status());
      return;
    }
    Visit(start, Place{.root = root, .id = *canonical, .prefix = "", .parent = ""}, deep, 0);
  }

  ScanWalk Take() {
    shard_lists_ = std::move(used_lists_);
    return std::move(walk_);
  }

 private:
  void Visit(const std::string& path, const Place& place, bool deep, int depth) {
    if (stop_.stop_requested()) return;
    if (depth > kMaxDepth) {
      Note(path, ErrorCode::kInvalidRequest, "too many folders within each other");
      return;
    }
    auto folder = List(path, place);
    if (!folder) return;
    const auto repo = RepoIdOf(BaseName(path));
    if (repo && !place.in_hub() && HasFolder(*folder, "snapshots")) {
      VisitRepo(*folder, *repo, place);
      return;
    }
    if (folder->files.contains("model_index.json")) {
      SightPipeline(*folder, place);
      return;
    }
    SightWeights(*folder, place);
    if (!deep) return;
    for (const auto& [name, symlink] : folder->folders) {
      if (auto below = Below(*folder, place, name, symlink)) {
        Visit(path + "/" + name, *below, deep, depth + 1);
      }
    }
  }

  // A hub repo: main's snapshot carries the repo's name, others their commit's.
  void VisitRepo(const Folder& repo, const std::string& repo_id, const Place& place) {
    const std::string main_commit = ReadRefs(repo, place);
    if (HasFolder(repo, "blobs")) NoteUnfinished(repo.path + "/blobs", place);
    const std::string path = repo.path + "/snapshots";
    const auto snapshots = List(path, place);
    if (!snapshots) return;
    for (const auto& [name, file] : snapshots->files) {
      Note(path + "/" + name, ErrorCode::kCorruptedModel, "a file where only snapshots belong");
    }
    for (const auto& [commit, symlink] : snapshots->folders) {
      const bool is_main = commit == main_commit;
      Place below = place;
      below.id = place.id + (is_main ? "@main" : "@" + commit);
      below.prefix = is_main ? repo_id : repo_id + "@" + commit.substr(0, kShortCommit);
      below.parent = ParentOf(repo.path);
      Visit(path + "/" + commit, below, /*deep=*/true, 0);
    }
  }

  // Checks what the refs lead to; returns main's commit, empty when there is none.
  std::string ReadRefs(const Folder& repo, const Place& place) {
    if (!HasFolder(repo, "refs")) return {};
    const auto fd = ListEntries(repo.path + "/refs", place);
    if (!fd) return {};
    std::string main_commit;
    for (const os::DirectoryEntry& entry : fd->second) {
      if (entry.type != os::FileType::kRegular) continue;
      const std::string path = repo.path + "/refs/" + entry.name;
      auto commit = os::ReadSmallFile(path, kMaxRefBytes);
      if (!commit.ok()) {
        Note(path, CodeOf(commit.status()), Message(commit.status()));
        continue;
      }
      commit->erase(commit->find_last_not_of(" \r\n") + 1);
      if (!IsCommit(*commit)) {
        Note(path, ErrorCode::kCorruptedModel, "a ref that names no commit");
      } else if (!os::OpenDirectory(repo.path + "/snapshots/" + *commit).ok()) {
        Note(path, ErrorCode::kFileNotFound,
             fmt::format("a ref to {}, which is not there; download the model again", *commit));
      } else if (entry.name == "main") {
        main_commit = *commit;
      }
    }
    return main_commit;
  }

  void NoteUnfinished(const std::string& blobs, const Place& place) {
    const auto listed = ListEntries(blobs, place);
    if (!listed) return;
    for (const os::DirectoryEntry& entry : listed->second) {
      if (!entry.name.ends_with(".incomplete")) continue;
      Note(blobs + "/" + entry.name, ErrorCode::kFileNotFound,
           "a download that is not finished; start it again to go on");
    }
  }

  // A diffusers folder with the weights in the folders below it.
  void SightPipeline(Folder& folder, const Place& place) {
    ModelFiles model{.layout = ModelLayout::kDiffusers, .files = {}};
    AddFile(model, folder, "model_index.json", "");
    bool weights = false;
    for (const auto& [name, symlink] : folder.folders) {
      const auto part = List(folder.path + "/" + name, place);
      if (!part) continue;
      for (const auto& [file, found] : part->files) {
        AddFile(model, *part, file, name + "/");
        weights = weights || IsWeightsFile(file);
      }
    }
    if (weights) {
      Sight(folder, place, "", std::move(model));
    } else {
      Note(folder.path, ErrorCode::kUnsupportedFormat,
           "a diffusers folder without .safetensors weights; other formats are not read");
    }
    SightWeights(folder, place);
  }

  // The weights that lie in a folder itself.
  void SightWeights(const Folder& folder, const Place& place) {
    std::vector<std::string> names;
    for (const auto& [name, found] : folder.files) names.push_back(name);
    const auto sets =
        GroupWeights(names, [&](const std::string& index) { return ShardsOf(folder, index); });
    const bool pipeline = folder.files.contains("model_index.json");
    const auto belongs = [&](const WeightSet& set) {
      return IsLibraryStem(set.stem) || sets.size() == 1;
    };
    ModelFiles together{.layout = ModelLayout::kTransformers, .files = {}};
    if (!pipeline && folder.files.contains("config.json") &&
        std::any_of(sets.begin(), sets.end(), belongs)) {
      AddFile(together, folder, "config.json", "");
      for (const WeightSet& set : sets) {
        if (belongs(set)) AddSet(together, folder, set);
      }
      Sight(folder, place, "", together);
    }
    for (const WeightSet& set : sets) {
      if (!together.files.empty() && belongs(set)) continue;
      const bool single = set.IsSingleFile();
      ModelFiles model{.layout = single ? ModelLayout::kFile : ModelLayout::kSharded, .files = {}};
      AddSet(model, folder, set);
      Sight(folder, place, set.index.empty() ? set.files.front() : set.index, std::move(model));
    }
  }

  void AddSet(ModelFiles& model, const Folder& folder, const WeightSet& set) {
    if (!set.index.empty()) AddFile(model, folder, set.index, "");
    for (const std::string& file : set.files) AddFile(model, folder, file, "");
  }

  void AddFile(ModelFiles& model, const Folder& folder, const std::string& name,
               const std::string& prefix) {
    const FoundFile& found = folder.files.at(name);
    model.files.push_back({prefix + name, found.identity, found.content_hash});
  }

  // file: the name of a model that is a file or an index of shards; empty for
  // one that is the folder.
  void Sight(const Folder& folder, const Place& place, const std::string& file, ModelFiles model) {
    Sighting sighting;
    sighting.id = DigestOf<ModelId>(AsBytes(file.empty() ? place.id : place.id + "/" + file));
    if (!seen_ids_.insert(sighting.id).second) return;
    sighting.revision = RevisionOf(model);
    sighting.root = place.root;
    sighting.folder = folder.path;
    sighting.path = file.empty() ? folder.path : folder.path + "/" + file;
    // What a set of shards is called: "model.safetensors" for its index.
    const auto stem = IndexStem(file);
    const std::string shown_file = stem ? *stem + ".safetensors" : file;
    if (place.in_hub()) {
      sighting.base_name = file.empty() ? place.prefix : place.prefix + "/" + shown_file;
      sighting.parent = place.parent;
    } else if (stem && IsGenericStem(*stem)) {
      sighting.base_name = BaseName(folder.path);
      sighting.parent = ParentOf(folder.path);
    } else if (IsGenericStem(StemOf(file))) {
      sighting.base_name = BaseName(folder.path) + "/" + file;
      sighting.parent = ParentOf(folder.path);
    } else if (!file.empty()) {
      sighting.base_name = shown_file;
      sighting.parent = folder.path;
    } else if (folder.path.size() > place.root.size() + 1 && folder.path.starts_with(place.root)) {
      sighting.base_name = folder.path.substr(place.root.size() + (place.root == "/" ? 0 : 1));
      sighting.parent = place.root;
    } else {
      sighting.base_name = BaseName(folder.path);
      sighting.parent = ParentOf(folder.path);
    }
    sighting.model = std::move(model);
    walk_.sightings.push_back(std::move(sighting));
  }

  std::vector<std::string> ShardsOf(const Folder& folder, const std::string& index) {
    const os::FileIdentity& identity = folder.files.at(index).identity;
    if (const auto known = shard_lists_.find(identity); known != shard_lists_.end()) {
      return used_lists_.insert(*known).first->second;
    }
    // What is wrong with an index is told when its model is inspected.
    const auto text = os::ReadSmallFile(folder.path + "/" + index, kMaxIndexBytes);
    if (!text.ok()) return {};
    auto parsed = ParseShardIndex(*text);
    std::vector<std::string> shards;
    if (parsed.ok()) shards = std::move(parsed->shards);
    return used_lists_.insert_or_assign(identity, std::move(shards)).first->second;
  }

  // Opens and lists a folder that was not visited before.
  std::optional<std::pair<os::UniqueFd, std::vector<os::DirectoryEntry>>> ListEntries(
      const std::string& path, const Place& place) {
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
    return std::pair(*std::move(fd), *std::move(entries));
  }

  std::optional<Folder> List(const std::string& path, const Place& place) {
    auto listed = ListEntries(path, place);
    if (!listed) return std::nullopt;
    Folder folder{.path = path, .fd = std::move(listed->first), .files = {}, .folders = {}};
    for (const os::DirectoryEntry& entry : listed->second) {
      AddEntry(folder, entry, place.in_hub());
    }
    return folder;
  }

  void AddEntry(Folder& folder, const os::DirectoryEntry& entry, bool in_hub) {
    const bool symlink = entry.type == os::FileType::kSymlink;
    const bool of_interest = IsOfInterest(entry.name);
    if (entry.name.starts_with('.') || entry.type == os::FileType::kOther ||
        (entry.type == os::FileType::kRegular && !of_interest)) {
      return;
    }
    const std::string path = folder.path + "/" + entry.name;
    if (!IsPrintable(entry.name)) {
      Note(path, ErrorCode::kInvalidName,
           "its name has control characters or is not UTF-8; rename it");
      return;
    }
    if (entry.type == os::FileType::kDirectory) {
      folder.folders.emplace_back(entry.name, false);
      return;
    }
    const auto stat = os::StatAt(folder.fd.get(), entry.name);
    if (!stat.ok()) {
      const bool broken = CodeOf(stat.status()) == ErrorCode::kFileNotFound;
      if (of_interest || in_hub) {
        Note(path, CodeOf(stat.status()),
             broken ? "a symlink that leads nowhere; download the file again"
                    : Message(stat.status()));
      }
      return;
    }
    if (stat->type == os::FileType::kDirectory) {
      folder.folders.emplace_back(entry.name, true);
    } else if (stat->type == os::FileType::kRegular && of_interest) {
      FoundFile found{.identity = stat->identity, .content_hash = ""};
      if (symlink && in_hub) {
        const auto target = os::ReadLinkAt(folder.fd.get(), entry.name);
        if (target.ok()) found.content_hash = ContentHashOf(*target);
      }
      if (IsWeightsFile(entry.name)) ++walk_.files;
      folder.files.emplace(entry.name, std::move(found));
    }
  }

  // The place of a folder within a folder; nothing for a symlink that can't be
  // resolved.
  std::optional<Place> Below(const Folder& folder, const Place& place, const std::string& name,
                             bool symlink) {
    Place below = place;
    below.id += "/" + name;
    if (place.in_hub()) {
      below.prefix += "/" + name;
    } else if (symlink) {
      const auto canonical = os::CanonicalPath(folder.path + "/" + name);
      if (!canonical.ok()) return std::nullopt;
      below.id = *canonical;
    }
    return below;
  }

  static bool HasFolder(const Folder& folder, std::string_view name) {
    return std::any_of(folder.folders.begin(), folder.folders.end(),
                       [name](const auto& entry) { return entry.first == name; });
  }

  // What lies below a folder that is there but can't be read is not gone.
  void NoteUnreadable(const std::string& path, const Status& status) {
    if (CodeOf(status) != ErrorCode::kFileNotFound) walk_.unreadable.push_back(path);
    Note(path, CodeOf(status), Message(status));
  }

  void Note(std::string_view path, ErrorCode code, std::string_view message) {
    walk_.findings.push_back({Shown(path), code, std::string(message)});
  }

  ShardListCache& shard_lists_;
  const Scanner::Progress progress_;
  const std::stop_token stop_;
  ShardListCache used_lists_;
  std::set<std::pair<uint64_t, uint64_t>> visited_;  // folders by device and inode
  std::unordered_set<ModelId> seen_ids_;
  ScanWalk walk_;
};

}  // namespace

std::vector<Root> Normalized(std::vector<Root> roots) {
  for (Root& root : roots) {
    while (root.path.size() > 1 && root.path.back() == '/') root.path.pop_back();
  }
  return roots;
}

StatusOr<ScanWalk> Scanner::Walk(const std::vector<Root>& roots, const Progress& progress,
                                 std::stop_token stop) {
  WalkInProgress walk(shard_lists_, progress, stop);
  for (const Root& root : roots) walk.Start(root.path, root.path, root.deep);
  if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "the scan was stopped");
  return walk.Take();
}

ScanWalk Scanner::Revisit(const std::string& root, const std::string& folder) {
  ShardListCache none;
  WalkInProgress walk(none, nullptr, {});
  walk.Start(root, RepoFolderOf(folder).value_or(folder), /*deep=*/false);
  return walk.Take();
}

}  // namespace warmset
