// What the daemon remembers between its lives: a SQLite database.
// The schema, and what may be lost when the machine fails, are written down in
// docs/formats/catalog.md.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/digest.h"
#include "base/status.h"

namespace warmset {

// Names one state of a model's files: the digest of their names and identities.
using RevisionId = Digest128<struct RevisionIdTag>;

// One model, enough to list it without looking at the disk.
struct ModelRow {
  ModelId id;
  std::string name;
  std::string root;  // the configured folder that it was found below
  std::string path;
  RevisionId revision;
  std::string summary;  // encoded by the caller, opaque here
};

// What inspecting one revision gave: a manifest, or why there is none. Failures
// are kept too, so that a broken file is read once and not at every scan.
struct InspectionRow {
  RevisionId revision;
  std::string manifest;  // encoded by the caller; empty when failure is not OK
  Status failure;
};

// What an entry's bytes were at their first load.
struct DigestRow {
  std::vector<ChunkDigest> chunks;  // one per kDigestChunkBytes
  ContentDigest content;
};

// Which hash a file's content has, where its name or a manifest claims one
// (docs/design/claims.md). The five numbers are os::FileIdentity.
struct ClaimRow {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  std::string claim;  // "sha256:…" or "git-sha1:…"
  std::string found;  // in the algorithm of the claim
  int64_t checked_unix_ms = 0;

  friend bool operator==(const ClaimRow&, const ClaimRow&) = default;
};

struct Usage {
  int64_t last_used_unix_ms = 0;
  uint64_t uses = 0;
  double load_seconds = 0;  // the last measured load; 0: none yet
};

// Uses of a model that are not recorded yet.
struct NewUses {
  uint64_t count = 0;
  int64_t last_unix_ms = 0;  // of the last one
};

// How the daemon that had this catalog before came to its end.
enum class EarlierEnd {
  kClean,         // by EndLife(), or there was none
  kUnclean,       // killed, crashed, or the machine failed
  kUncleanAgain,  // the second time within kUncleanWindow
};
inline constexpr std::chrono::minutes kUncleanWindow{10};

// What should be in RAM and on devices, by the names of the components.
struct DesiredPlacement {
  std::string component;
  std::string device;  // "host:0"
  std::string pool;    // "shared" or "dedicated"

  friend bool operator==(const DesiredPlacement&, const DesiredPlacement&) = default;
};
struct DesiredModel {
  ModelId model;
  std::vector<std::string> cached;
  std::vector<DesiredPlacement> placements;
};

// What the user says a model is; an empty text leaves it as its files say.
struct ModelOverride {
  std::string kind;
  std::string architecture;

  bool empty() const { return kind.empty() && architecture.empty(); }
  friend bool operator==(const ModelOverride&, const ModelOverride&) = default;
};

// How the user wants a model kept in RAM; empty texts: as the daemon is configured.
struct CacheSettings {
  std::string strategy{};  // "speed", "memory", "balanced" or "adaptive"
  std::string priority{};  // "high", "medium" or "low"
  bool pinned = false;   // never evicted
  uint64_t keep_seconds = 0;  // after its last use: not evicted, then dropped; 0: not set

  friend bool operator==(const CacheSettings&, const CacheSettings&) = default;
};

// How a component was used, counted in requests for any component; see UseHistory.
struct UseHistoryRow {
  ComponentId component;
  uint64_t bytes = 0;  // raw
  uint64_t requests = 0;
  uint64_t last_request = 0;
  std::array<double, 3> rates{};
  double interval = 0;
  bool unwanted = false;
};

// What a user used together with a model; an empty user stands for all of them.
struct CompanionRow {
  std::string user;
  ModelId model;
  double uses = 0;  // of the model
  std::unordered_map<ModelId, double> together;
};

// How often what was predicted came true.
struct CalibrationRow {
  double predicted = 0;
  double used = 0;

  friend bool operator==(const CalibrationRow&, const CalibrationRow&) = default;
};

struct HistoryRows {
  std::vector<UseHistoryRow> components{};
  std::vector<ComponentId> forgotten{};  // components whose rows go; none when read
  std::vector<CompanionRow> companions{};
  std::vector<CalibrationRow> calibration{};  // by bin
};

// A model that is open by path, and what its files in RAM are.
struct OpenPathRow {
  struct File {
    ComponentId component;
    uint64_t device = 0;  // of the file on tmpfs
    uint64_t inode = 0;   // 0: it has no name there
    uint64_t size = 0;

    friend bool operator==(const File&, const File&) = default;
  };
  ModelId model;
  std::vector<File> files;

  friend bool operator==(const OpenPathRow&, const OpenPathRow&) = default;
};

struct CatalogChanges {
  std::vector<ModelRow> models;  // added, or replacing the row of the same id
  std::vector<ModelId> removed;
  std::vector<InspectionRow> inspections;
};

class Database;

// Thread-safe; calls block on the disk, but a write waits for no fsync except at
// a checkpoint. After a failed call the database is as before it (each call is
// one transaction). When SQLite finds the file damaged, the file is moved aside, an
// empty catalog takes its place, TakeNotice() says so, and the call is done on that
// one: everything in it can be found again.
class Catalog {
 public:
  // Opens or creates the database; its folder must exist. A damaged one is
  // moved aside. kVersionMismatch when a newer Warmset made it.
  static StatusOr<std::unique_ptr<Catalog>> Open(const std::string& path);
  // The same; where the file can't be used, a catalog in memory that ends with this
  // object: with the file's rows if they can be read and are of a version that is known.
  // The file stays as it is. TakeNotice() names it, the reason and what to do.
  static StatusOr<std::unique_ptr<Catalog>> OpenOrInMemory(const std::string& path);
  ~Catalog();
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  // What the user should be told, once: empty when there is nothing.
  std::string TakeNotice();
  // Why the last write failed (its disk is full, or can't be written to any more);
  // OK when it did not.
  Status WriteFailure();
  // Writes a mark, to see whether it works again.
  Status TryWrite();

  // Calls with each model; visit() calls nothing of the catalog. One may come twice when
  // the catalog was damaged.
  Status ForEachModel(const std::function<void(const ModelRow&)>& visit);
  // Inspections that could not be written are found all the same as long as this object
  // lives, the first kMostUnwritten of them.
  static constexpr size_t kMostUnwritten = 1024;
  Status Apply(const CatalogChanges& changes);
  // Nothing when that revision was never inspected.
  StatusOr<std::optional<InspectionRow>> FindInspection(const RevisionId& revision);
  // Forgets inspections that no model has and that are older than that.
  Status PruneInspections(int64_t older_than_unix_ms);

  StatusOr<std::optional<DigestRow>> FindDigests(const ComponentId& component);
  Status PutDigests(const ComponentId& component, const DigestRow& digests);
  // Forgets what these components' bytes and loads were.
  Status ForgetComponents(std::span<const ComponentId> components);

  // One row for each (device, inode): a new one replaces that of an earlier state.
  StatusOr<std::vector<ClaimRow>> Claims();
  Status PutClaim(const ClaimRow& row);

  // What models have now; see Prune().
  struct Known {
    std::unordered_set<ComponentId> components;
    std::set<std::pair<uint64_t, uint64_t>> files;  // device, inode
  };
  // Forgets digests, loads and claims that are older than that, of components and
  // files that are not known.
  Status Prune(const Known& known, int64_t older_than_unix_ms);

  // Sets last_used and adds the uses. Given in batches so that a daemon can keep them
  // out of its hot path.
  Status RecordModelUses(const std::unordered_map<ModelId, NewUses>& uses);
  Status RecordLoad(const ComponentId& component, double seconds);
  StatusOr<std::unordered_map<ModelId, Usage>> ModelUsage();
  StatusOr<std::unordered_map<ComponentId, Usage>> ComponentUsage();

  // Each row replaces the one of the same component, of the same user and model, or
  // of the same bin.
  Status RecordHistory(const HistoryRows& changed);
  StatusOr<HistoryRows> History();

  // Replaces what was desired of that model; nothing cached and placed forgets it.
  Status SetDesired(const DesiredModel& desired);
  // Most recently used first.
  StatusOr<std::vector<DesiredModel>> Desired();

  // Replaces what is known of that model's path; one without files forgets it.
  Status SetOpenPath(const OpenPathRow& row);
  StatusOr<std::vector<OpenPathRow>> OpenPaths();

  // Replaces what was set for that model; an empty one forgets it. It stays when
  // the model goes: its drive may come back.
  Status SetOverride(const ModelId& model, const ModelOverride& override_by_user);
  StatusOr<std::unordered_map<ModelId, ModelOverride>> Overrides();

  // The same for how it is kept in RAM; default settings forget it.
  Status SetCacheSettings(const ModelId& model, const CacheSettings& settings);
  StatusOr<std::unordered_map<ModelId, CacheSettings>> AllCacheSettings();

  // A number greater than every earlier one that this catalog gave, written
  // before it is returned: fences commands of an earlier daemon. Where it can't be
  // written, the clock alone keeps the order.
  uint64_t NextDaemonTerm();

  // Marks that a daemon runs, from now_unix_ms on, until EndLife(). Returns what the
  // mark says of the one before.
  StatusOr<EarlierEnd> BeginLife(int64_t now_unix_ms);
  Status EndLife();

 private:
  Catalog(std::string path, std::unique_ptr<Database> database, std::string notice);

  // Does it on the database; where that turns out to be damaged, once more on an
  // empty one: what the body gives out must not have anything left of a first try.
  using Body = std::function<Status(Database&)>;
  Status Read(const Body& body) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The same in one transaction; its result is what WriteFailure() gives.
  Status Write(const Body& body) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Puts an empty database in the place of the damaged one.
  Status StartAnew(const Status& damage) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string path_;
  absl::Mutex mutex_;
  std::unique_ptr<Database> database_ ABSL_GUARDED_BY(mutex_);
  std::string notice_ ABSL_GUARDED_BY(mutex_);
  Status write_failure_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<RevisionId, InspectionRow> unwritten_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace warmset
