// For tests and fuzzers only: makes zip archives, sound ones and others.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_reader.h"

namespace warmset {

// An entry, and where its headers lie about it.
struct TestZipEntry {
  std::string name;
  std::string content;
  bool deflate = false;
  std::optional<std::string> local_name = {};
  std::optional<uint16_t> method = {};  // in both headers
  uint16_t flags = 0;
  uint16_t local_flags = 0;
  std::optional<uint32_t> crc = {};
  std::optional<uint32_t> local_crc = {};
  std::optional<uint32_t> bytes = {};
  std::optional<uint32_t> stored_bytes = {};
  std::optional<uint32_t> header_offset = {};
  std::string extra = {};  // of the directory
};

struct TestZipEnd {
  std::string prefix = {};
  std::string before_directory = {};
  std::string tail = {};
  std::optional<uint16_t> entries = {};
  std::optional<uint32_t> directory_offset = {};
  bool zip64 = false;  // with the record, as torch.save() writes it
  std::optional<uint64_t> zip64_entries = {};
  std::optional<uint64_t> zip64_record_at = {};
  bool without_end = false;
};

inline std::string TestDeflate(std::string_view content) {
  z_stream stream = {};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, static_cast<uLong>(content.size())), '\0');
  std::string copy(content);
  stream.next_in = reinterpret_cast<Bytef*>(copy.data());
  stream.avail_in = static_cast<uInt>(copy.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

inline uint32_t TestCrc(std::string_view content) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
}

inline std::string TestZip(const std::vector<TestZipEntry>& entries, const TestZipEnd& end = {}) {
  std::string file = end.prefix;
  ByteWriter directory;
  for (const TestZipEntry& entry : entries) {
    const std::string data = entry.deflate ? TestDeflate(entry.content) : entry.content;
    const uint16_t method = entry.method.value_or(entry.deflate ? 8 : 0);
    const uint32_t crc = entry.crc.value_or(TestCrc(entry.content));
    const auto bytes = static_cast<uint32_t>(entry.content.size());
    const auto stored_bytes = static_cast<uint32_t>(data.size());
    const auto header_offset = static_cast<uint32_t>(file.size());
    const std::string local_name = entry.local_name.value_or(entry.name);
    ByteWriter local;
    local.Write(uint32_t{0x04034b50});
    local.Write(uint16_t{20});
    local.Write(entry.local_flags);
    local.Write(method);
    local.Write(uint32_t{0});
    local.Write(entry.local_crc.value_or(crc));
    local.Write(stored_bytes);
    local.Write(bytes);
    local.Write(static_cast<uint16_t>(local_name.size()));
    local.Write(uint16_t{0});
    file += local.data() + local_name + data;

    directory.Write(uint32_t{0x02014b50});
    directory.Write(uint16_t{20});
    directory.Write(uint16_t{20});
    directory.Write(entry.flags);
    directory.Write(method);
    directory.Write(uint32_t{0});
    directory.Write(crc);
    directory.Write(entry.stored_bytes.value_or(stored_bytes));
    directory.Write(entry.bytes.value_or(bytes));
    directory.Write(static_cast<uint16_t>(entry.name.size()));
    directory.Write(static_cast<uint16_t>(entry.extra.size()));
    directory.Write(uint16_t{0});
    directory.Write(uint64_t{0});
    directory.Write(entry.header_offset.value_or(header_offset));
    directory.WriteBytes(std::as_bytes(std::span(entry.name)));
    directory.WriteBytes(std::as_bytes(std::span(entry.extra)));
  }
  file += end.before_directory;
  const uint64_t directory_at = file.size();
  file += directory.data();
  if (end.without_end) return file;
  ByteWriter out;
  if (end.zip64) {
    const uint64_t record_at = file.size();
    out.Write(uint32_t{0x06064b50});
    out.Write(uint64_t{44});
    out.Write(uint64_t{0});  // versions, this disk
    out.Write(uint32_t{0});
    out.Write(uint64_t{entries.size()});
    out.Write(end.zip64_entries.value_or(entries.size()));
    out.Write(uint64_t{directory.data().size()});
    out.Write(directory_at);
    out.Write(uint32_t{0x07064b50});
    out.Write(uint32_t{0});
    out.Write(end.zip64_record_at.value_or(record_at));
    out.Write(uint32_t{1});
  }
  const auto count = end.entries.value_or(static_cast<uint16_t>(entries.size()));
  out.Write(uint32_t{0x06054b50});
  out.Write(uint32_t{0});
  out.Write(count);
  out.Write(count);
  out.Write(static_cast<uint32_t>(directory.data().size()));
  out.Write(end.directory_offset.value_or(static_cast<uint32_t>(directory_at)));
  out.Write(uint16_t{0});
  return file + out.data() + end.tail;
}

}  // namespace warmset
