// How a component's bytes lie at a place.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace warmset {

enum class Form : uint8_t {
  kRaw,         // as they are: a sealed entry in RAM, a device's dedicated memory
  kNamed,       // as they are, in a guarded file with a name: RAM only, for `path`
  kCompressed,  // losslessly compressed: RAM only; no client gets it
  kShared,      // on a device, without bytes of its own: it uses the pages of the RAM
};

inline constexpr std::array<std::string_view, 4> kFormNames = {"raw", "named", "compressed",
                                                               "shared"};
constexpr std::string_view FormName(Form form) { return kFormNames[static_cast<size_t>(form)]; }

}  // namespace warmset
