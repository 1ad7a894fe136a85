// The models that exist, and how users name them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "base/digest.h"
#include "base/rare.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "discover/model_summary.h"
#include "os/file.h"

namespace warmset {

struct Model {
  ModelSummary summary;  // its kind and architecture are the user's where he set any
  Rare<ModelOverride> override_by_user;
  Rare<ModelOverride> identified;  // what the files say, where the user says something
  Rare<CacheSettings> cache_settings;
  // Known only through a descriptor that a client passed; forgotten with its entry.
  bool ad_hoc = false;
  // Of an ad hoc one: its path led to its file, as this process sees it, ...
  bool path_is_known = false;
  // ... and leads elsewhere by now, or nowhere.
  bool file_is_gone = false;
  // The files were touched without a change of size and time: what was read from
  // them earlier may not be theirs any more.
  bool verify_before_use = false;
  // Looking at its files takes microseconds (FileCheck::local).
  bool files_are_local = false;
  int64_t last_used_unix_ms = 0;
  Status last_error;  // of the last cache or load
};

// Loop thread only. Pointers to models stay valid until Remove() or a Put() of
// the same id.
class ModelRegistry {
 public:
  // Finds what a user typed: a name; what fits best by NameFit; an id or a prefix of
  // one of at least four digits goes before all fits but the whole ones.
  // kModelNotFound (with similar names) or kAmbiguousName (with all that match) as
  // candidates; kInvalidName for what no name can be.
  StatusOr<Model*> Find(std::string_view text);
  Model* Find(const ModelId& id);
  const Model* Find(const ModelId& id) const;

  // The model that a file belongs to, by device and inode, and its index there: rather
  // one that has it in this very state, and rather one of the library. The inode may have
  // been another file's when the model was looked at.
  std::optional<std::pair<Model*, uint32_t>> FindByFile(const os::FileIdentity& identity);
  // The model that has a file of this path, likewise, and its index there.
  std::optional<std::pair<Model*, uint32_t>> FindByPath(const std::string& path);
  // Those that are known through descriptors alone.
  std::vector<const Model*> AdHoc() const;

  // The models that have the component, in no order; valid until the next Put() or
  // Remove().
  std::span<Model* const> UsersOf(const ComponentId& component) const;

  // Adds a model or replaces the one with its id. When it was used is kept, also while
  // it is away.
  Model& Put(const ModelSummary& summary);
  // The same for one that is known through a descriptor alone.
  Model& PutAdHoc(const ModelSummary& summary);
  void Remove(const ModelId& id);

  // What the user says a model is, from now on and whenever it comes back; an
  // empty one takes that back. The model need not be there.
  void SetOverride(const ModelId& id, const ModelOverride& override_by_user);

  // How the user wants it kept in RAM; likewise.
  void SetCacheSettings(const ModelId& id, const CacheSettings& settings);
  // Defaults for one without any.
  const CacheSettings& SettingsOf(const ModelId& id) const;
  // Those that are there, of the models with settings.
  std::vector<Model*> WithSettings();

  size_t size() const { return by_id_.size(); }
  // By name.
  const absl::btree_map<std::string_view, Model*>& all() const { return by_name_; }

 private:
  using FileKey = std::pair<uint64_t, uint64_t>;  // device, inode

  std::vector<Model*> Matching(std::string_view text) const;
  std::vector<std::string> Similar(std::string_view text) const;

  // Compact, for there may be a million models.
  absl::flat_hash_map<ModelId, std::unique_ptr<Model>, std::hash<ModelId>> by_id_;
  absl::btree_map<std::string_view, Model*> by_name_;  // keys are their summaries'
  std::set<ModelId> ad_hoc_;
  using FileOfModel = std::pair<Model*, uint32_t>;
  absl::btree_multimap<FileKey, FileOfModel> by_file_;
  absl::btree_multimap<size_t, FileOfModel> by_path_;  // by the path's hash
  absl::btree_map<ComponentId, absl::InlinedVector<Model*, 1>> by_component_;
  std::unordered_map<ModelId, ModelOverride> overrides_;
  std::unordered_map<ModelId, CacheSettings> cache_settings_;
  std::unordered_map<ModelId, int64_t> last_used_;  // of models that went
};

}  // namespace warmset
