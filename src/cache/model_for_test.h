// A model on disk for the tests of this room.
#pragma once

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/strong.h"
#include "cache/source_file.h"
#include "gtest/gtest.h"
#include "inspect/manifest.h"
#include "tensor/tensor_index.h"

namespace warmset {

// Files of random bytes in a temporary folder, and the manifest of a component
// made of them. Removes the folder at its end.
class ModelForTest {
 public:
  struct Run {
    uint32_t file = 0;
    uint64_t file_offset = 0;
    uint64_t bytes = 0;
  };

  // A component of the given runs, each beginning at the next page of the entry.
  ModelForTest(const std::vector<uint64_t>& file_bytes, const std::vector<Run>& runs,
               unsigned seed = 1) {
    std::string folder = ::testing::TempDir() + "cache_XXXXXX";
    EXPECT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
    std::mt19937 random(seed);
    for (size_t i = 0; i < file_bytes.size(); ++i) {
      std::string content(file_bytes[i], '\0');
      for (char& byte : content) byte = static_cast<char>(random());
      const std::string path = folder_ + "/weights-" + std::to_string(i);
      std::ofstream(path, std::ios::binary) << content;
      contents_.push_back(std::move(content));
      files_.push_back({.path = path, .identity = *os::IdentifyPath(path), .passed = nullptr});
    }

    std::vector<TensorEntry> tensors;
    uint64_t at = 0;
    for (const Run& run : runs) {
      at = AlignUp(at, 4 * kKiB);
      component_.runs.push_back({.file = run.file,
                                 .file_offset = run.file_offset,
                                 .bytes = run.bytes,
                                 .entry_offset = at});
      tensors.push_back({.name = "tensor." + std::to_string(tensors.size()),
                         .dtype = DType::kU8,
                         .shape = {run.bytes},
                         .offset = at,
                         .bytes = run.bytes});
      at += run.bytes;
    }
    component_.name = "model";
    component_.entry_bytes = at;
    component_.tensor_index = EncodeTensorIndex(tensors, {}, at);
    component_.id = DigestOf<ComponentId>(AsBytes(folder_));
  }
  // One whole file.
  explicit ModelForTest(uint64_t bytes, unsigned seed = 1)
      : ModelForTest({bytes}, {{.file = 0, .file_offset = 0, .bytes = bytes}}, seed) {}
  // One whole file of that content, in which the tensors lie.
  ModelForTest(std::string content, const std::vector<TensorEntry>& tensors)
      : ModelForTest(content.size()) {
    contents_[0] = std::move(content);
    std::ofstream(path(), std::ios::binary) << contents_[0];
    files_[0].identity = *os::IdentifyPath(path());
    component_.tensor_index = EncodeTensorIndex(tensors, {}, component_.entry_bytes);
  }
  ~ModelForTest() { std::filesystem::remove_all(folder_); }
  ModelForTest(const ModelForTest&) = delete;
  ModelForTest& operator=(const ModelForTest&) = delete;

  const ComponentManifest& component() const { return component_; }
  const std::vector<SourceFile>& files() const { return files_; }
  std::vector<SourceFile>& files() { return files_; }
  const std::string& path(size_t file = 0) const { return files_[file].path; }

  // What the entry must hold.
  std::string Expected() const {
    std::string expected(component_.entry_bytes, '\0');
    for (const FileRun& run : component_.runs) {
      contents_[run.file].copy(expected.data() + run.entry_offset, run.bytes, run.file_offset);
    }
    return expected;
  }

  // Changes one byte of a file in place, as a failing disk would: the
  // modification time is as before.
  void FlipByte(size_t file, uint64_t offset) {
    const std::string& path = files_[file].path;
    const auto modified = std::filesystem::last_write_time(path);
    std::fstream stream(path, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(static_cast<char>(~contents_[file][offset]));
    stream.close();
    std::filesystem::last_write_time(path, modified);
  }

 private:
  std::string folder_;
  std::vector<std::string> contents_;
  std::vector<SourceFile> files_;
  ComponentManifest component_;
};

}  // namespace warmset
