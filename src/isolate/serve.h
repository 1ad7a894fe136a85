// The helper's side of the process border.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "inspect/inspect.h"
#include "isolate/border.h"
#include "os/system_memory.h"

namespace warmset {

// Address space of one helper: what a header of safetensors of 100 MB takes with the
// manifest that is made of it, whatever is in it.
inline constexpr uint64_t kHelperMemoryBytes = uint64_t{1} << 30;

// Memory that a helper keeps for the next request; one that took more ends.
inline constexpr ByteCount kHelperKeeps(uint64_t{128} << 20);

// InspectModel(), or what a test puts in its place.
using InspectFunction =
    std::function<StatusOr<std::string>(const ModelFiles& model, FileProvider& files)>;

// Says that this process is ready and answers requests, one after another, until
// the other end closes (then it is OK) or this process has taken much memory.
// Call in the sandbox; `peak` was opened before it.
Status ServeInspections(border::Border border, uint32_t landlock_abi, const os::PeakMemory& peak,
                        const InspectFunction& inspect = InspectModel);

}  // namespace warmset
