// Ollama's blob store: manifests/<registry>/<namespace>/<model>/<tag> and blobs/.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "discover/scan_walk_state.h"

namespace warmset {

// True for a folder that is such a store ("models" in Ollama's own folder).
bool IsOllamaStore(const Folder& folder);

// The store that this path is a manifest of, by its form alone.
std::optional<std::string> OllamaStoreOf(const std::string& path);

// What Ollama calls the model of a manifest, given by its path below manifests/:
// "llama3:8b", "user/model:tag" or "registry/user/model:tag". Nothing for a path
// of another form.
std::optional<std::string> OllamaNameOf(std::string_view manifest);

// Sights a model per manifest, with the blobs that it lists and that are there.
void SightOllamaStore(ScanWalkState& state, const Folder& store, const Place& place);

}  // namespace warmset
