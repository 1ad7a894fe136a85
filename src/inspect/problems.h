// Several things that are wrong with one file.
#pragma once

#include <vector>

#include "base/status.h"
#include "inspect/format_reader.h"

namespace warmset {

// A reader that looks on after an error collects here what it met. Keeps a bounded
// number, the worst among them. Not thread-safe.
class Problems {
 public:
  // OK is no problem.
  void Add(Status problem);
  // Those of another list that are at least so bad.
  void AddFrom(const Problems& other, Verdict at_least);
  // Takes back what is corrupt: in a file that is cut off, all of it follows from that.
  void ForgetCorruption();
  bool empty() const { return problems_.empty(); }
  // OK when there is none.
  Verdict worst() const;

  // The worst, to be returned as the reader's error; the others become findings.
  // OK when there is none.
  Status Report(FileContents& contents) &&;

 private:
  std::vector<Status> problems_;
};

}  // namespace warmset
