// What was found in a model's files: tensors, components, where their bytes lie.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "os/file.h"

namespace warmset {

enum class ModelKind : uint8_t {
  kFile = 0,          // one weights file
  kSharded = 1,       // *.safetensors.index.json and its shards
  kTransformers = 2,  // config.json beside weights
  kDiffusers = 3,     // model_index.json and a folder per component
};
std::string_view ModelKindName(ModelKind kind);

struct ManifestFile {
  std::string path;           // relative to the model's folder
  os::FileIdentity identity;  // when its header was read
  std::string content_hash;   // "sha256:…" or "git-sha1:…" from a hub blob's name, else empty
};

// A stretch of a file and where it lies in the component's memory. Runs start
// at multiples of 4 KiB in both, so that O_DIRECT can read them; only the last
// byte of a file may end one elsewhere. Runs do not overlap in memory.
struct FileRun {
  uint32_t file = 0;  // index into Manifest::files
  uint64_t file_offset = 0;
  uint64_t bytes = 0;
  uint64_t entry_offset = 0;
};

// A set of tensors that is cached, placed, shared and evicted as one.
struct ComponentManifest {
  std::string name;  // unique in the model: "unet", "text_encoder_2", "model"
  std::string type;  // "unet", "transformer", "vae", "text_encoder", "lora", ..., "model"
  // Derived from the runs, the index and the files' identity (their content
  // hash where there is one): equal ids mean equal bytes.
  ComponentId id;
  std::vector<FileRun> runs;
  uint64_t entry_bytes = 0;  // size of the entry; for a whole file its exact size
  std::string tensor_index;  // encoded, see tensor/tensor_index.h
  uint64_t tensor_count = 0;
  uint64_t tensor_bytes = 0;
  std::map<std::string, uint64_t> dtype_bytes;
};

// Fills in tensor_count, tensor_bytes and dtype_bytes from the tensor index, which
// they are not stored beside. kCorruptedModel for an index that does not fit.
Status SetTensorTotals(ComponentManifest& component);

struct Finding {
  std::string path;
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
};

struct Manifest {
  ModelKind kind = ModelKind::kFile;
  std::string format;        // "safetensors"
  std::string architecture;  // as the files say it (config.json, model_index.json), or empty
  std::vector<ManifestFile> files;
  std::vector<ComponentManifest> components;
  std::vector<Finding> findings;  // warnings; a model with an error has no manifest

  uint64_t total_bytes() const {
    uint64_t total = 0;
    for (const ManifestFile& file : files) total += file.identity.size;
    return total;
  }
};

// The serialised form is what crosses from a parsing process and what the
// catalog stores; kManifestVersion is in it, and another version is
// kVersionMismatch (the catalog then inspects again).
inline constexpr uint16_t kManifestVersion = 1;
std::string EncodeManifest(const Manifest& manifest);
// kCorruptedModel for anything that EncodeManifest would not produce.
StatusOr<Manifest> DecodeManifest(std::string_view blob);

}  // namespace warmset
