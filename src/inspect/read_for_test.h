// Reading files from memory, for tests and fuzzers.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "inspect/format_reader.h"

namespace warmset {

// Files beside the one that is read, by path.
class FilesForTest final : public OtherFiles {
 public:
  explicit FilesForTest(std::map<std::string, std::string> files = {}) : files_(std::move(files)) {}

  StatusOr<ByteSource*> Open(const std::string& path) override {
    const auto file = files_.find(path);
    if (file == files_.end()) {
      return Error(ErrorCode::kIncompleteModel, path + " is named but not there");
    }
    sources_.push_back(std::make_unique<MemorySource>(AsBytes(file->second)));
    return sources_.back().get();
  }

 private:
  const std::map<std::string, std::string> files_;
  std::vector<std::unique_ptr<MemorySource>> sources_;
};

// What the reader finds in a file of that content; its error when it refuses it.
inline StatusOr<FileContents> ReadForTest(const FormatReader& reader, std::string_view file,
                                          std::map<std::string, std::string> others = {}) {
  MemorySource source(AsBytes(file));
  FilesForTest beside(std::move(others));
  FileContents contents;
  RETURN_IF_ERROR(reader.Read(source, beside, contents));
  return contents;
}

}  // namespace warmset
