// The header of a safetensors file: names, dtypes, shapes and places of tensors.
// Format: https://huggingface.co/docs/safetensors/index#format, and where it is
// silent the reference implementation (safetensors/src/tensor.rs).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "tensor/tensor_index.h"

namespace warmset {

// The reference's limit on the length of the JSON text.
inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;

// The order of tensors in a component of whole files: by place, then by name
// (only empty tensors share a place).
bool InFileOrder(const TensorEntry& a, const TensorEntry& b);

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // InFileOrder; offsets count from the file's first byte
  std::map<std::string, std::string> metadata;
  std::vector<std::string> warnings;
};

// Reads and checks the header of an open file that has file_size bytes: one read
// for most files, two for a header above 64 KiB. A header that is accepted
// describes every byte of the file behind it exactly once. kCorruptedModel says
// what is wrong and where; a Git LFS pointer in place of the weights is told
// apart. kUnsupportedFormat for a rank above kMaxTensorRank.
StatusOr<SafetensorsHeader> ReadSafetensorsHeader(int fd, uint64_t file_size);

// The same of a file whose first bytes are in memory.
StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::span<const std::byte> file_start,
                                                   uint64_t file_size);

}  // namespace warmset
