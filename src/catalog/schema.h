#pragma once

#include <cstdint>
#include <span>

namespace warmset {

// The statements that lead from schema version i to i + 1; the length is the
// version that this program writes (PRAGMA user_version). Append, never change:
// docs/formats/catalog.md.
std::span<const char* const> CatalogMigrations();

// Values of usage.kind.
inline constexpr int64_t kUsageOfModels = 0;
inline constexpr int64_t kUsageOfComponents = 1;

}  // namespace warmset
