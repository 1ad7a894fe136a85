// What a scan has to remember of models to see a difference.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/synchronization/mutex.h"
#include "base/digest.h"
#include "base/shared_text.h"
#include "discover/model_summary.h"

namespace warmset {

// Compact, for there may be a million of them. Thread-safe.
class KnownModels {
 public:
  struct Known {
    RevisionId revision;
    std::string name;
    SharedText root;
    SharedText folder;
    uint64_t path_digest = 0;
    Verdict verdict = Verdict::kOk;
  };
  static uint64_t DigestOfPath(std::string_view path);

  void Put(const ModelSummary& summary);
  void Forget(const ModelId& id);
  std::optional<Known> Find(const ModelId& id) const;
  size_t size() const;
  // Calls with each one; visit() calls nothing of this object.
  void ForEach(const std::function<void(const ModelId&, const Known&)>& visit) const;

 private:
  mutable absl::Mutex mutex_;
  absl::btree_map<ModelId, Known> models_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace warmset
