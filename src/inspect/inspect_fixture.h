// For tests only: a folder with the files of one model, inspected in this process.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "inspect/inspect.h"
#include "inspect/test_safetensors.h"
#include "tensor/tensor_index.h"

namespace warmset {

class InspectTest : public testing::Test, public FileProvider {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "inspect_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  StatusOr<os::UniqueFd> Open(const std::string& path) override {
    if (before_open_) before_open_(path);
    return os::OpenForRead(folder_ + "/" + path);
  }

  void Write(const std::string& path, const std::string& content,
             const std::string& claimed_hash = "") {
    const std::string full = folder_ + "/" + path;
    std::filesystem::create_directories(std::filesystem::path(full).parent_path());
    WriteTestFile(full, content);
    model_.files.push_back({path, *os::IdentifyPath(full), claimed_hash});
  }

  StatusOr<Manifest> Inspect(ModelLayout layout) {
    model_.layout = layout;
    ASSIGN_OR_RETURN(const std::string encoded, InspectModel(model_, *this));
    auto manifest = DecodeManifest(encoded);
    EXPECT_TRUE(manifest.ok()) << manifest.status();
    return manifest;
  }

  // The first finding of the manifest's verdict, as an error; the inspection's own
  // error if there is no manifest.
  Status Refusal(ModelLayout layout) {
    ASSIGN_OR_RETURN(const Manifest manifest, Inspect(layout));
    for (const Finding& finding : manifest.findings) {
      if (finding.verdict != manifest.verdict()) continue;
      if (finding.verdict == Verdict::kOk) break;
      return Error(CodeOfVerdict(finding.verdict), finding.path + ": " + finding.message);
    }
    return OkStatus();
  }

  // The bytes that an entry of the component would have.
  std::string EntryOf(const Manifest& manifest, const ComponentManifest& component) {
    std::string entry(component.entry_bytes, '\0');
    for (const FileRun& run : component.runs) {
      const auto content =
          os::ReadSmallFile(folder_ + "/" + manifest.files[run.file].path, 1 << 24);
      content->copy(entry.data() + run.entry_offset, run.bytes, run.file_offset);
    }
    return entry;
  }

  // The bytes of each tensor of an entry, by name.
  std::map<std::string, std::string> TensorsOf(const Manifest& manifest,
                                               const ComponentManifest& component) {
    const std::string entry = EntryOf(manifest, component);
    const auto index = TensorIndex::Parse(AsBytes(component.tensor_index));
    EXPECT_TRUE(index.ok()) << index.status();
    std::map<std::string, std::string> tensors;
    for (uint64_t i = 0; i < index->tensor_count(); ++i) {
      const TensorEntry tensor = index->tensor(i);
      tensors[tensor.name] = entry.substr(tensor.offset, tensor.bytes);
    }
    return tensors;
  }

  static std::vector<std::string> Names(const Manifest& manifest) {
    std::vector<std::string> names;
    for (const ComponentManifest& component : manifest.components) {
      names.push_back(component.name + ":" + component.type);
    }
    return names;
  }

  std::string folder_;
  ModelFiles model_;
  std::function<void(const std::string&)> before_open_;
};

}  // namespace warmset
