// The manifests of Ollama's blob store:
//   manifests/<registry>/<namespace>/<model>/<tag>   JSON that lists layers
//   blobs/sha256-<64 hexadecimal digits>             what the layers are
// A layer's digest names its blob. It is taken for nothing but 64 digits: one with
// a path in it has made programs write and read outside of the store.
// Form: the OCI image manifest, https://github.com/opencontainers/image-spec, with
// Ollama's media types.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace warmset {

struct OllamaLayer {
  std::string media_type;  // "application/vnd.ollama.image.model"
  std::string blob;        // name of the file: "sha256-…"
  // As older stores, and copies of them, have it: "sha256:…".
  std::string old_blob;
  std::string sha256;      // the digits of its digest
  uint64_t size = 0;

  // What the tensors in it are for: "model", "adapter", "projector"; empty for a
  // layer without tensors (a template, a licence, parameters).
  std::string_view component() const;
};

// The layers of a manifest and its configuration, in their order. kCorruptedModel
// for what is no manifest, kUnsafeModel for a digest that would lead to another
// folder.
StatusOr<std::vector<OllamaLayer>> ParseOllamaManifest(std::string_view json);

}  // namespace warmset
