// Small valid files of every format, to measure with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/status.h"

namespace warmset::bench {

// Writes that many files of a few tensors each into folders below root: in turn
// safetensors, GGUF, PyTorch zip archives and ONNX. Each has another tensor.
Status WriteMixedLibrary(const std::filesystem::path& root, unsigned files, unsigned folders);

// A safetensors file of that many one-byte tensors.
Status WriteLongHeader(const std::filesystem::path& path, unsigned tensors);

// A safetensors checkpoint with the tensors' names of SDXL and so many bytes, of
// which the disk holds the header alone.
Status WriteSparseCheckpoint(const std::filesystem::path& path, uint64_t bytes);

}  // namespace warmset::bench
