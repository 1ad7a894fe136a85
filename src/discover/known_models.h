// What a scan has to remember of models to see a difference.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
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
  // Has 56 bits.
  static uint64_t DigestOfPath(std::string_view path);

  void Put(const ModelSummary& summary);
  void Forget(const ModelId& id);
  std::optional<Known> Find(const ModelId& id) const;
  size_t size() const;
  // Calls with each one; visit() calls nothing of this object.
  void ForEach(const std::function<void(const ModelId&, const Known&)>& visit) const;

 private:
  // As small as it can be.
  struct Kept {
    Kept() = default;
    explicit Kept(const ModelSummary& summary);
    Known Give() const;

    RevisionId revision;
    std::unique_ptr<char[]> name;  // ends with a zero
    SharedText root;
    SharedText folder;
    uint64_t path_digest : 56 = 0;
    uint64_t verdict : 8 = 0;
  };

  mutable absl::Mutex mutex_;
  absl::btree_map<ModelId, Kept> models_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace warmset
