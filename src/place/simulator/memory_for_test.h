// What the fake tiers really have: the truth that references compare with.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/strong.h"
#include "model/form.h"
#include "model/ids.h"

namespace warmset::place {

struct Memory {
  enum class State { kFilling, kReady, kFailed };

  PlaceId place{};
  Form form = Form::kRaw;
  ByteCount bytes{};
  uint64_t content = 0;  // what it is filled with, see Universe
  ComponentId component{};
  State state = State::kFilling;
  bool releasing = false;  // it was commanded
  bool damaged = false;    // nothing can be made from it any more
  bool lost = false;       // its worker has died; only clients have it mapped
  std::optional<PlacementId> source{};
  RequestId request{};
  uint32_t leases = 0;
};
using Memories = std::map<PlacementId, Memory>;

// What went wrong, in words; the first one ends a run.
class Violations {
 public:
  void Add(std::string violation) { all_.push_back(std::move(violation)); }
  const std::vector<std::string>& all() const { return all_; }
  bool any() const { return !all_.empty(); }

 private:
  std::vector<std::string> all_;
};

}  // namespace warmset::place
