// Listing folders during one walk.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "discover/root_state.h"
#include "discover/sighting.h"
#include "inspect/hub/tree.h"
#include "inspect/shard_index.h"
#include "os/directory.h"
#include "os/unique_fd.h"

namespace warmset {

// What index files and hub trees said when they were read before, by their identity.
struct ShardListCache {
  std::map<os::FileIdentity, std::vector<std::string>> lists;
  std::map<os::FileIdentity, std::shared_ptr<const HubTree>> trees;
};

// How what lies in a folder is named and identified.
struct Place {
  std::string root;         // as configured
  std::string id;           // canonical: what ModelIds are made of
  std::string prefix;       // hub: "org/name[@commit]" and the folders below it; else empty
  std::string parent;       // hub: the cache's folder
  std::string repo;         // hub: the repo's folder; else empty
  std::string repo_target;  // hub: the same without symlinks: what no link may leave
  std::string commit;       // hub: of the snapshot
  std::string tag;          // hub: another ref than main that names it
  // Hub: what the snapshot's commit consists of, and where in it this is ("", "unet/").
  // Nothing when the client left no tree.
  std::shared_ptr<const HubTree> tree;
  std::string in_snapshot;
  std::string folder_kind;  // of the nearest folder that tells one

  bool in_hub() const { return !repo.empty(); }
  // What the commit has of that name here, or nullptr.
  const HubFile* InTree(const std::string& name) const {
    return tree == nullptr ? nullptr : tree->Find(in_snapshot + name);
  }
};

struct FoundFile {
  os::FileIdentity identity;
  std::string claimed_hash;
};

// Only what is of interest to a scan, by bare names.
struct Folder {
  std::string path;
  os::UniqueFd fd;
  std::map<std::string, FoundFile> files;
  // Links that lead nowhere or out, and files that are not as their commit has them.
  std::map<std::string, Finding> unusable;
  std::set<std::string> unfinished;                   // files beside which a download's state lies
  std::vector<std::pair<std::string, bool>> folders;  // name, and whether it is a symlink
  std::vector<os::DirectoryEntry> entries;            // all there is

  bool HasFolder(std::string_view name) const;
  // The type of an entry itself; nothing when there is none.
  std::optional<os::FileType> TypeOf(std::string_view name) const;
};

std::string BaseName(const std::string& path);
std::string ParentOf(const std::string& path);

// One walk: what was seen, and the folders that were visited. Not thread-safe.
class ScanWalkState {
 public:
  // Called for every folder with its path and the weights files seen so far.
  using Progress = std::function<void(uint64_t files, const std::string& folder)>;

  // How the walk goes on, for one that waits for it. Each may be empty.
  struct Pace {
    // Called before a folder, or what links of it lead to, is touched; false: it is left
    // out, as one that can't be read.
    std::function<bool(const std::string& folder)> enter;
    // Called before each further touch.
    std::function<void()> step;
  };

  ScanWalkState(ShardListCache& before, ShardLister& lister, Progress progress,
                std::stop_token stop)
      : before_(before), lister_(lister), progress_(std::move(progress)), stop_(std::move(stop)) {}
  void SetPace(Pace pace) { pace_ = std::move(pace); }

  bool stopped() const { return stop_.stop_requested(); }
  // What a user points at is a model even where a scan would not take it for one.
  void SetPointedAt() { pointed_at_ = true; }
  bool pointed_at() const { return pointed_at_; }

  // See Pace::enter(); what is left out is noted.
  bool Enter(const std::string& folder);

  // Opens and lists a folder that was not visited before; nothing for one that
  // was, or that can't be listed: then a finding says so.
  std::optional<Folder> List(const std::string& path, const Place& place);
  // The same; `name` is of interest whatever it is.
  std::optional<Folder> ListFor(const std::string& path, const Place& place,
                                const std::string& name);
  // The place of a folder within a folder; nothing for a symlink that can't be
  // resolved or leads out of its repo.
  std::optional<Place> Below(const Folder& folder, const Place& place, const std::string& name,
                             bool symlink);

  // The files that an index or an Ollama manifest names; none for a broken one:
  // what is wrong with it is told when its model is inspected.
  std::vector<std::string> NamedFiles(const std::string& path, const os::FileIdentity& identity);

  // What a hub repo's client wrote of a commit's files, those that a scan looks at
  // alone; nullptr when it wrote nothing or that can't be read.
  std::shared_ptr<const HubTree> TreeOf(const std::string& repo, const std::string& commit);

  // Adds a sighting unless its id was seen already; `id_text` is what the id is
  // made of. The caller has filled in all but id and revision.
  void Sight(Sighting sighting, std::string_view id_text);

  void Note(std::string_view path, ErrorCode code, std::string_view message);
  // What lies below a folder that is there but can't be read is not gone.
  void NoteUnreadable(const std::string& path, const Status& status);
  // A text that many sightings have.
  SharedText Share(std::string_view text) { return texts_.Get(text); }

  // Notes how a root is before what is in it is looked at.
  void LookAt(const std::string& root) { walk_.roots[root] = LookAtRoot(root); }
  void CountFiles(uint64_t files) { walk_.files += files; }
  size_t sightings() const { return walk_.sightings.size(); }

  // Ends the walk; the cache of lists is then what this walk used.
  ScanWalk Take();

 private:
  std::optional<Folder> ListEntries(const std::string& path, const Place& place);
  // Whether it is what a downloader leaves while it works; says so if it is to be noted.
  bool IsUnfinished(Folder& folder, const std::string& name, bool note);
  void NoteUnprintable(const Folder& folder, const os::DirectoryEntry& entry);
  void AddEntry(Folder& folder, const os::DirectoryEntry& entry, const Place& place,
                bool of_interest);
  void AddFile(Folder& folder, const std::string& name, const os::FileIdentity& identity,
               bool symlink, const Place& place);
  // In a hub repo: what is wrong with a link, by its text when it leads nowhere.
  std::optional<Finding> CheckLink(const Folder& folder, const std::string& name,
                                   const Place& place, const Status& target) const;

  ShardListCache& before_;  // what this walk used, when it has ended
  ShardLister& lister_;
  const Progress progress_;
  Pace pace_;
  const std::stop_token stop_;
  bool pointed_at_ = false;
  ShardListCache used_;
  std::set<std::pair<uint64_t, uint64_t>> visited_;  // folders by device and inode
  std::unordered_set<ModelId> seen_ids_;
  TextPool texts_;
  ScanWalk walk_;
};

}  // namespace warmset
