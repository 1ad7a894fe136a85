// For tests only: makes small safetensors files.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "fmt/format.h"

namespace warmset {

// A file of U8 tensors with these names and sizes, one after another.
inline std::string TestSafetensors(const std::vector<std::pair<std::string, uint64_t>>& tensors,
                                   const std::string& metadata = "") {
  std::string header = "{" + metadata;
  uint64_t offset = 0;
  for (const auto& [name, bytes] : tensors) {
    header += fmt::format(R"({}"{}":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}})",
                          header.size() == 1 ? "" : ",", name, bytes, offset, offset + bytes);
    offset += bytes;
  }
  header += "}";
  const uint64_t length = header.size();
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  file += header;
  for (uint64_t i = 0; i < offset; ++i) file.push_back(static_cast<char>(i % 251));
  return file;
}

inline void WriteTestFile(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

}  // namespace warmset
