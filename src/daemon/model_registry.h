// The models that exist, and how users name them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "discover/model_summary.h"
#include "os/file.h"

namespace warmset {

struct Model {
  ModelSummary summary;  // its kind and architecture are the user's where he set any
  ModelOverride override_by_user;
  CacheSettings cache_settings;
  std::string identified_kind;  // what the files say
  std::string identified_architecture;
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
  // Finds what a user typed: a name; an id or a prefix of one of at least four
  // digits; a prefix of a name or of its last part; at last the same without
  // regard to case and with '_' equal to '-'. kModelNotFound (with similar
  // names) or kAmbiguousName (with all that match) as candidates; kInvalidName
  // for what no name can be.
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

  // The models that have the component, in no order.
  const std::vector<Model*>& UsersOf(const ComponentId& component) const;

  // Adds a model or replaces the one with its id, keeping when it was used.
  Model& Put(ModelSummary summary);
  // The same for one that is known through a descriptor alone.
  Model& PutAdHoc(ModelSummary summary);
  void Remove(const ModelId& id);

  // What the user says a model is, from now on and whenever it comes back; an
  // empty one takes that back. The model need not be there.
  void SetOverride(const ModelId& id, const ModelOverride& override_by_user);

  // How the user wants it kept in RAM; likewise.
  void SetCacheSettings(const ModelId& id, const CacheSettings& settings);

  size_t size() const { return by_id_.size(); }
  // By name.
  const std::map<std::string, Model*>& all() const { return by_name_; }

 private:
  using FileKey = std::pair<uint64_t, uint64_t>;  // device, inode

  std::vector<Model*> Matching(std::string_view text) const;
  std::vector<std::string> Similar(std::string_view text) const;

  std::unordered_map<ModelId, std::unique_ptr<Model>> by_id_;
  std::map<std::string, Model*> by_name_;
  std::set<ModelId> ad_hoc_;
  using FileOfModel = std::pair<ModelId, uint32_t>;
  std::multimap<FileKey, FileOfModel> by_file_;
  std::unordered_multimap<size_t, FileOfModel> by_path_;  // by the path's hash
  std::unordered_map<ComponentId, std::vector<Model*>> by_component_;
  std::unordered_map<ModelId, ModelOverride> overrides_;
  std::unordered_map<ModelId, CacheSettings> cache_settings_;
};

}  // namespace warmset
