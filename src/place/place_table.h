// The places that components can be at.
#pragma once

#include <cstddef>
#include <map>

#include "base/status.h"
#include "base/strong.h"
#include "model/ids.h"

namespace warmset::place {

struct PlaceOptions {
  PlaceId id{};
  ByteCount limit{};
  size_t fills_at_once = 1;
};

struct Place {
  enum class State : uint8_t { kUp, kStarting, kFailed };

  ByteCount limit{};
  ByteCount outside{};  // of the limit, used by others
  size_t fills_at_once = 1;
  State state = State::kUp;  // kStarting: demands wait for it
  Status why{};              // it is not up
  // What the place has and the machine does not know: being released.
  std::map<PlacementId, ByteCount> strays{};

  ByteCount stray_bytes() const {
    ByteCount bytes{};
    for (const auto& [id, each] : strays) bytes += each;
    return bytes;
  }
};
using PlaceTable = std::map<PlaceId, Place>;

}  // namespace warmset::place
