// The desired table, and which of its rows are not written down yet.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "place/desire.h"

namespace warmset::place {

// A value; not thread-safe.
class DesireTable {
 public:
  // Adds the desire. One that exists keeps the stronger reason. Either way earlier failures
  // no longer count.
  void Put(const DesireKey& key, Reason reason, const ComponentId& component);
  // The same for a row that is written already, of a model whose files may be away.
  void Restore(const DesireKey& key, Reason reason);
  void Erase(const DesireKey& key);
  // The part has that component now; nothing: its files are away.
  void SetComponent(const DesireKey& key, const std::optional<ComponentId>& component);

  Desire* Find(const DesireKey& key);
  // Valid until the next change.
  const std::set<DesireKey>& For(const ComponentId& component) const;
  // Copies, so that they may be erased meanwhile.
  std::vector<DesireKey> OfModel(const ModelId& model) const;
  std::map<DesireKey, Desire>& all() { return desires_; }
  const std::map<DesireKey, Desire>& all() const { return desires_; }

  // What has changed since the last call; nothing as reason: it is gone.
  std::vector<std::pair<DesireKey, std::optional<Reason>>> TakeDirty();
  // These were not written.
  void SetDirty(const std::vector<std::pair<DesireKey, std::optional<Reason>>>& rows);
  bool dirty() const { return !dirty_.empty(); }

 private:
  std::map<DesireKey, Desire> desires_;
  std::map<ComponentId, std::set<DesireKey>> by_component_;
  std::set<DesireKey> dirty_;
};

}  // namespace warmset::place
