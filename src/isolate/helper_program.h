// What a helper program does from its first line on; shared with the test's.
#pragma once

#include "isolate/serve.h"

namespace warmset {

// The descriptor that a helper is started with.
inline constexpr int kBorderDescriptor = 3;
// How a helper ends that was refused memory.
inline constexpr int kOutOfMemoryExit = 77;

// Enters the sandbox with so much memory, then answers requests until nobody asks
// any more. Returns the exit status. Why there can be no sandbox goes to the other
// side in place of its readiness.
int RunHelper(uint64_t memory_bytes, const InspectFunction& inspect = InspectModel);

}  // namespace warmset
