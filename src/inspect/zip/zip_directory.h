// zip: what an archive says that it holds, checked against what it does hold.
// Format: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 to 4.5.
//
// Loaders disagree about archives that contradict themselves, and attackers live
// on it: a scanner looks at one reading, the loader takes the other. So every
// contradiction is reported, and what either reading shows is listed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "inspect/byte_source.h"

namespace warmset {

// "PK\3\4", which an archive with entries begins with.
inline constexpr std::string_view kZipMagic = "PK\3\4";

inline constexpr uint16_t kZipStored = 0;
inline constexpr uint16_t kZipDeflated = 8;

struct ZipEntry {
  std::string name;        // as the central directory has it
  std::string local_name;  // as its own header has it, where the two differ
  uint16_t method = kZipStored;
  uint32_t crc = 0;
  uint64_t header_offset = 0;
  uint64_t data_offset = 0;   // behind its own header
  uint64_t stored_bytes = 0;  // [data_offset, data_offset + stored_bytes) lies in the file
  uint64_t bytes = 0;         // uncompressed, as promised

  bool is_folder() const { return name.ends_with('/'); }
  // Whether it has that name in either reading.
  bool IsNamed(std::string_view other) const {
    return name == other || (!local_name.empty() && local_name == other);
  }
};

struct ZipDirectory {
  // In the order of the central directory, those whose data lies in the file. Of
  // an archive without a usable one: entries that were searched for.
  std::vector<ZipEntry> entries;
  // What breaks the rules, with offsets: kCorruptedModel, kIncompleteModel for a file
  // that ends before its directory, and kUnsafeModel for names that lead out of the
  // folder they would be unpacked in.
  std::vector<Status> problems;
  bool cut_off = false;
};

// An error only when the file can't be read; what is wrong with it is in the result.
StatusOr<ZipDirectory> ReadZipDirectory(ByteSource& file);

// The name of the entry that a file begins with; empty when it begins with none
// or when so few bytes don't show it.
std::string FirstZipEntryName(std::span<const std::byte> start);

}  // namespace warmset
