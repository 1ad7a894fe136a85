#pragma once

#include <chrono>
#include <cstdint>

namespace warmset {

// Wall-clock time as the wire and the catalog have it.
inline int64_t UnixMilliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace warmset
