// From what readers found to components: which bytes of the files make their
// memory, and where in it each tensor lies.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "inspect/format_reader.h"
#include "inspect/identify/identify.h"
#include "inspect/manifest.h"

namespace warmset {

// What a reader found in one file of a model, and in the files that it names.
struct FilePart {
  // By TensorView::file: the file's place among the manifest's files.
  std::vector<uint32_t> files;
  FileContents contents;
};

// One component of whole files, one after another: a single file byte for byte,
// a file and its files of data, or the shards of a model. Tensors that do not lie
// contiguous are left out.
ComponentManifest MakeWholeComponent(std::string name, std::string type,
                                     const std::vector<ManifestFile>& files,
                                     std::span<const FilePart> parts);

// One component of some of a part's tensors, which lie in its first file.
ComponentManifest MakePartComponent(const TensorGroup& group,
                                    const std::vector<ManifestFile>& files, const FilePart& part);

// What a component's id must be: of its runs, its index and its files' identity.
ComponentId DeriveComponentId(const ComponentManifest& component,
                              const std::vector<ManifestFile>& files);

// The tensors that no component can hold.
std::vector<UnplacedTensor> UnplacedTensors(const FilePart& part);

}  // namespace warmset
