#pragma once

#include <optional>
#include <string_view>

namespace warmset {

// Where a placement's memory comes from.
enum class MemoryPool {
  kShared,     // the entry's own pages in RAM, mapped read-only
  kDedicated,  // the device's arena, counted against its budget
};

// "shared", "dedicated": stable, part of the wire format.
constexpr std::string_view MemoryPoolName(MemoryPool pool) {
  return pool == MemoryPool::kShared ? "shared" : "dedicated";
}
constexpr std::optional<MemoryPool> MemoryPoolFromName(std::string_view name) {
  if (name == "shared") return MemoryPool::kShared;
  if (name == "dedicated") return MemoryPool::kDedicated;
  return std::nullopt;
}

}  // namespace warmset
