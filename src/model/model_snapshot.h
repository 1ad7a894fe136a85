// One revision of a model, as a use takes it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/strong.h"
#include "model/cache_strategy.h"
#include "model/ids.h"

namespace warmset {

// How much it matters to the user that a model stays in RAM.
enum class CachePriority : uint8_t { kLow, kMedium, kHigh };

// How the user wants a model kept in RAM.
struct KeepSettings {
  CacheStrategy strategy = CacheStrategy::kSpeed;
  CachePriority priority = CachePriority::kMedium;
  bool pinned = false;           // never evicted; comes back with its files
  std::chrono::seconds keep{0};  // after its last use: not evicted, then dropped; 0: not set

  friend bool operator==(const KeepSettings&, const KeepSettings&) = default;
};

// A component of a model, or one of its files as a whole.
struct ModelPart {
  std::string name;           // of the component; of a file its path in the model's folder
  ComponentId id;             // of where the bytes come from, so another revision has another
  ByteCount bytes;            // of memory that its raw form takes
  double reload_seconds = 0;  // what reading it takes, measured or estimated

  friend bool operator==(const ModelPart&, const ModelPart&) = default;
};

// Immutable once it is shared: a use that began with one revision keeps it, whatever becomes
// of the model, and no index into it can go out of date. A change of the settings alone makes
// another snapshot of the same revision.
struct ModelSnapshot {
  ModelId model{};
  RevisionId revision{};
  std::string name{};  // unique among all models
  std::vector<ModelPart> components{};
  std::vector<ModelPart> files{};
  KeepSettings settings{};
};
using SharedSnapshot = std::shared_ptr<const ModelSnapshot>;

// The part of that name; nullptr when there is none.
const ModelPart* FindPart(const std::vector<ModelPart>& parts, std::string_view name);

}  // namespace warmset
