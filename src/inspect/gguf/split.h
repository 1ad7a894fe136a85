// GGUF files that llama.cpp split into numbered parts: "x-00002-of-00003.gguf".
// Source: llama_split_path() and the keys "split.*" in llama.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "inspect/format_reader.h"

namespace warmset {

// Which part of a whole a file's name says it is.
struct GgufPartName {
  std::string stem;              // "x"
  uint32_t number = 0;           // from 1 on
  uint32_t count = 0;            // not less than number
  std::string suffix = ".gguf";  // in the case that the file has

  friend bool operator==(const GgufPartName&, const GgufPartName&) = default;
};
std::optional<GgufPartName> ParseGgufPartName(std::string_view name);
std::string FormatGgufPartName(const GgufPartName& part);

// How many parts the whole has of which the file is one, as its metadata says; 1
// for a file that is whole.
uint64_t GgufPartCount(const FileContents& file);

// What a file is that begins with the first of several parts and goes on with others, as
// `cat` joins them: the second begins at that offset. kIncompleteModel.
Status JoinedParts(const FileContents& file, uint64_t second_at);

// kCorruptedModel unless these, in order, are all parts of one whole by their
// metadata, with as many tensors as the first says, under different names.
Status CheckGgufParts(std::span<const FileContents* const> parts);

// Whether the other parts are there, beside one of that name: kIncompleteModel when
// they are not, kCorruptedModel when name and metadata differ.
// REQUIRES: GgufPartCount(file) > 1.
Status FindOtherGgufParts(std::string_view name, const FileContents& file, OtherFiles& beside);

}  // namespace warmset
