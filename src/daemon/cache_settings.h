// How users want models kept in RAM, and what follows for their components.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "cache/entry_store.h"
#include "catalog/catalog.h"
#include "daemon/model_registry.h"
#include "model/cache_strategy.h"
#include "warmset/v1/session.pb.h"
#include "warmset/v1/state.pb.h"

namespace warmset {

// A model's own strategy, else the default.
CacheStrategy StrategyOf(const Model& model, CacheStrategy by_default);

// Of a component of several models: the one that keeps most of it raw.
CacheStrategy StrategyOf(std::span<Model* const> users, CacheStrategy by_default);

// Whether a model's time of `keep` is not over yet, or is: neither without one.
bool IsKept(const Model& model, int64_t now_unix_ms);
bool IsKeptNoLonger(const Model& model, int64_t now_unix_ms);

// The highest that any of its models asks for.
EntryStore::Retention RetentionOf(std::span<Model* const> users, int64_t now_unix_ms);

// What settings become when those that are given are set. kInvalidRequest names
// what is wrong.
StatusOr<CacheSettings> WithGiven(CacheSettings settings, const v1::CacheSettings& given);

// What differs, as users write it.
std::vector<v1::SettingChange> ChangesOf(const CacheSettings& before, const CacheSettings& after);

// Only those that differ from the default.
v1::CacheSettings SettingsMessage(const CacheSettings& settings);

}  // namespace warmset
