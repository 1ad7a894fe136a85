// What should be where: the rows of the desired table.
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/status.h"
#include "model/form.h"
#include "model/ids.h"

namespace warmset::place {

// The machine has no clock: whoever drives it passes the time, which never goes back.
using Time = std::chrono::steady_clock::time_point;

// Why a model wants a part at a place. Weaker ones first: a stronger one replaces them.
enum class Reason : uint8_t {
  kPreload,  // it will be asked for
  kRestart,  // it was in RAM before the daemon ended
  kCache,    // it was asked for
  kPath,     // programs open it by path and hold no lease
  kLoad,     // it is loaded on a device
};
inline constexpr std::array<std::string_view, 5> kReasonNames = {"preload", "restart", "cache",
                                                                 "path", "load"};

// By names, so that a desire survives a restart and another revision. The form is what
// clients get: kRaw in RAM is satisfied by every form from which the raw one can be made.
struct DesireKey {
  ModelId model{};
  std::string part{};  // of a component; for kNamed of a file
  PlaceId place{};
  Form form = Form::kRaw;

  friend auto operator<=>(const DesireKey&, const DesireKey&) = default;
};

struct Desire {
  Reason reason = Reason::kCache;
  std::optional<ComponentId> component{};  // nothing: the model's files are away
  Status why{};                            // it is not there; OK when it is, or on its way
  int failures = 0;                        // of fills, one after another
  std::optional<Time> retry_at{};          // not before; nothing: as soon as it is possible
};

}  // namespace warmset::place
