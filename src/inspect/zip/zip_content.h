// What is in an entry of a zip archive.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "inspect/byte_source.h"
#include "inspect/zip/zip_directory.h"

namespace warmset {

// No header of a model is larger; a deflated entry is unpacked in memory up to it.
inline constexpr uint64_t kMaxInflatedBytes = 64 * kMiB;

// Readable whatever is wrong with it: what a loader would get to see is judged
// even where the archive is broken. Not thread-safe; the file must outlive it.
class ZipContent {
 public:
  // Checks the CRC of stored entries up to kMaxInflatedBytes and of all deflated
  // ones. An error only when the file can't be read, or for a method that is not
  // known here (kUnsupportedFormat).
  static StatusOr<ZipContent> Open(ByteSource& file, const ZipEntry& entry);

  ByteSource& source() { return *source_; }
  // Where it begins in the file, for stored entries.
  std::optional<uint64_t> file_offset() const { return file_offset_; }
  // kCorruptedModel for a wrong CRC or size, a broken stream or a zip bomb.
  const Status& problem() const { return problem_; }

 private:
  std::unique_ptr<std::string> inflated_;
  std::unique_ptr<ByteSource> source_;
  std::optional<uint64_t> file_offset_;
  Status problem_;
};

}  // namespace warmset
