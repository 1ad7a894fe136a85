// What is kept in memory of every model: enough to list, find and check it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "inspect/manifest.h"

namespace warmset {

struct ComponentSummary {
  std::string name;
  std::string type;
  ComponentId id;
  uint64_t entry_bytes = 0;
  uint64_t tensor_count = 0;
  std::vector<uint32_t> files;  // of the model's, whose bytes it has
};

// Tensors and runs stay in the catalog, see Library::ManifestOf().
struct ModelSummary {
  ModelId id;
  RevisionId revision;
  std::string name;  // unique among all models
  std::string root;
  std::string path;    // the weights file, the index of shards, or the folder
  std::string folder;  // what the files' paths are relative to
  ModelLayout layout = ModelLayout::kFile;
  std::string format;
  std::string model_kind;    // what it is: "checkpoint", "lora", ..., see Manifest::kind
  std::string architecture;  // the likeliest; empty: not known
  Verdict verdict = Verdict::kOk;
  std::vector<ManifestFile> files;  // the weights; same order as in the manifest
  std::vector<ComponentSummary> components;

  uint64_t total_bytes() const {
    uint64_t total = 0;
    for (const ManifestFile& file : files) total += file.identity.size;
    return total;
  }
  // REQUIRES: i < files.size().
  std::string FilePath(size_t i) const { return folder + "/" + files[i].path; }
};

// True for another form of a component, such as "unet.fp16" beside "unet": it is
// used when it is asked for by name, not as a part of the model.
bool IsVariant(const ModelSummary& model, const ComponentSummary& component);

// Fills in what the manifest says.
void Describe(const Manifest& manifest, ModelSummary& summary);

// The catalog's row of a model and back; kVersionMismatch or kCorruptedModel for
// a summary that this program did not write.
ModelRow ToRow(const ModelSummary& summary);
StatusOr<ModelSummary> FromRow(const ModelRow& row);

}  // namespace warmset
