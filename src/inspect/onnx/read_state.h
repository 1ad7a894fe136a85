// What the parts of the ONNX reader share while they read one file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "inspect/format_reader.h"

namespace warmset::onnx {

// protobuf's own default, which ONNX's tools keep: messages nested in a ModelProto.
inline constexpr int kMaxNesting = 100;

// A name from the file for a message: not long, and without control characters.
std::string Shown(std::string_view name);

// The memory that names and tables of one file may take. A real model needs some
// megabytes; this is what keeps a file of nothing but names within bounds.
class Budget {
 public:
  // kUnsupportedFormat when it is used up.
  Status Take(uint64_t bytes);

 private:
  uint64_t left_ = uint64_t{96} << 20;
};

// Collects what is wrong with a file. Reading goes on after a mistake wherever the
// place of the next thing is known, because something worse may follow: a file
// that breaks a rule and reaches out of its folder is unsafe.
class Problems {
 public:
  explicit Problems(FileContents& contents) : contents_(contents) {}

  // Takes an error of the file's content down and returns OK. Any other error (of
  // reading, or of a limit) comes back, for the caller to return.
  [[nodiscard]] Status Note(const Status& error);
  // A fault without which reading goes on.
  void Add(Status error);
  // A limit was met: reading on would cost too much.
  static Status Limit(std::string_view what);

  void Warn(std::string message);

  // The worst; OK when there is none. The others are findings by now.
  const Status& worst() const { return worst_; }

 private:
  void Push(Finding finding);

  FileContents& contents_;
  Status worst_;
  int warnings_ = 0;
};

}  // namespace warmset::onnx
