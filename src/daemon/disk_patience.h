#pragma once

#include <chrono>

namespace warmset {

// How long disks and servers may take.
struct DiskPatience {
  // For a look at files whose components are in RAM: then those are served all the same.
  std::chrono::milliseconds check{3'000};
  // Without any step forward: then a use ends with kTimeout.
  std::chrono::milliseconds standstill{60'000};
};

}  // namespace warmset
