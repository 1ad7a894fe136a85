// What was found in a model's files: tensors, components, where their bytes lie.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "inspect/finding.h"
#include "inspect/format_reader.h"
#include "os/file.h"
#include "tensor/dtype.h"

namespace warmset {

enum class ModelLayout : uint8_t {
  kFile = 0,          // one weights file, and the files of data that it names
  kSharded = 1,       // an index and its shards, or the numbered parts of a GGUF file
  kTransformers = 2,  // config.json beside weights
  kDiffusers = 3,     // model_index.json and a folder per component
  kOllama = 4,        // an Ollama manifest and its blobs
};
std::string_view ModelLayoutName(ModelLayout layout);

struct ManifestFile {
  std::string path;           // relative to the model's folder
  os::FileIdentity identity;  // when its header was read
  // "sha256:…" or "git-sha1:…" where the file's name or a manifest claims its hash, else
  // empty. Only a claim: no identity rests on it (docs/design/claims.md).
  std::string claimed_hash;
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
  // Derived from the runs, the index and the files' identity: equal ids mean equal bytes.
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

// A tensor that can't be handed out as it lies in its file: listed, never cached.
struct UnplacedTensor {
  std::string name;
  DType dtype = DType::kInvalid;
  std::vector<uint64_t> shape;
  std::vector<int64_t> strides;  // in elements; empty: not stored as plain elements
  uint32_t file = 0;             // index into Manifest::files
  uint64_t offset = 0;
  uint64_t bytes = 0;

  friend bool operator==(const UnplacedTensor&, const UnplacedTensor&) = default;
};

// What a model is taken for.
struct Architecture {
  std::string name;                   // "sdxl", "flux.1-dev", "llama"; empty: not known
  double confidence = 0;              // 0 to 1
  std::vector<std::string> evidence;  // which keys, shapes and values say so

  friend bool operator==(const Architecture&, const Architecture&) = default;
};

struct Manifest {
  ModelLayout layout = ModelLayout::kFile;
  std::string format;          // "safetensors"; of most of the files
  std::string format_version;  // as the format counts; may be empty
  std::string version;         // of the model, as its metadata say it; may be empty
  std::string kind;            // "checkpoint", "lora", "vae", "llm", ...; "model": not told
  std::vector<Architecture> architectures;  // candidates, the likeliest first
  std::vector<std::string> requires_models;  // architectures that it needs beside itself
  std::vector<ManifestFile> files;
  std::vector<ComponentManifest> components;
  std::vector<UnplacedTensor> unplaced;
  std::vector<OperatorUse> operators;
  std::vector<Finding> findings;

  // The worst of the findings'.
  Verdict verdict() const;
  // The likeliest; one without a name when there is none.
  const Architecture& architecture() const;

  uint64_t total_bytes() const {
    uint64_t total = 0;
    for (const ManifestFile& file : files) total += file.identity.size;
    return total;
  }
};

// The serialised form is what crosses from a parsing process and what the
// catalog stores; kManifestVersion is in it, and another version is
// kVersionMismatch (the catalog then inspects again).
inline constexpr uint16_t kManifestVersion = 4;
// Of all components together. A header of safetensors may have 100 MB, and its index
// takes about as much.
inline constexpr uint64_t kMaxTensorIndexBytes = uint64_t{192} << 20;
std::string EncodeManifest(const Manifest& manifest);
// kCorruptedModel for anything that EncodeManifest would not produce.
StatusOr<Manifest> DecodeManifest(std::string_view blob);

}  // namespace warmset
