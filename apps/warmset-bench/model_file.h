// Files to measure with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/status.h"

namespace warmset::bench {

// Writes a safetensors file with that many equal F16 tensors of tensor_bytes
// bytes each, not compressible, different for each seed, and waits until the
// disk has it.
Status WriteModel(const std::filesystem::path& path, unsigned tensors, uint64_t tensor_bytes,
                  uint64_t seed);

// A model of about that many MiB in tensors of 64 MiB.
Status WriteModel(const std::filesystem::path& path, uint64_t mib);

// A BF16 model as trained ones are (codec/synthetic_weights.h), in tensors of 8 MiB;
// other ones with each seed, though with equal weights.
Status WriteTrainedModel(const std::filesystem::path& path, uint64_t mib, uint64_t seed);

// Drops the file's pages from the page cache; kIoError when some stay.
Status DropFromPageCache(const std::filesystem::path& path);

}  // namespace warmset::bench
