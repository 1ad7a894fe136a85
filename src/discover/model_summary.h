// What is kept in memory of every model: enough to list, find and check it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/shared_text.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "inspect/manifest.h"

namespace warmset {

struct ComponentSummary {
  SharedText name;
  SharedText type;
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
  SharedText root;
  SharedText folder;  // what the files' paths are relative to
  ModelLayout layout = ModelLayout::kFile;
  SharedText format;
  SharedText model_kind;    // what it is: "checkpoint", "lora", ..., see Manifest::kind
  SharedText architecture;  // the likeliest; empty: not known
  // As its metadata say it, else the hub's or Ollama's tag; empty: nothing tells.
  SharedText version;
  SharedText commit;  // of a hub's snapshot; else empty
  Verdict verdict = Verdict::kOk;
  std::vector<ManifestFile> files;  // the weights; same order as in the manifest
  std::vector<ComponentSummary> components;

  // The weights file, the index of shards, or the folder.
  std::string path() const {
    if (!own_path.empty()) return own_path;
    return files.empty() ? folder.str() : FilePath(0);
  }
  // REQUIRES: folder and files are there.
  void SetPath(std::string path) {
    own_path = {};
    if (path != this->path()) own_path = std::move(path);
  }
  SharedText own_path;  // empty: the first file's, as of most models; else path()

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

// Fills in what the manifest says; texts that others have, too, are from the pool.
void Describe(const Manifest& manifest, TextPool& texts, ModelSummary& summary);

// The catalog's row of a model and back; kVersionMismatch or kCorruptedModel for
// a summary that this program did not write.
ModelRow ToRow(const ModelSummary& summary);
StatusOr<ModelSummary> FromRow(const ModelRow& row, TextPool& texts);

}  // namespace warmset
