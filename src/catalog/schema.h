#pragma once

#include <span>

namespace warmset {

// The statements that lead from schema version i to i + 1; the length is the
// version that this program writes (PRAGMA user_version). Append, never change:
// docs/formats/catalog.md.
std::span<const char* const> CatalogMigrations();

}  // namespace warmset
