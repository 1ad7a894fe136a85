#include "inspect/zip/zip_content.h"

#include <zlib.h>

#include <algorithm>
#include <array>

#include "base/digest.h"
#include "fmt/format.h"
#include "inspect/shown.h"

namespace warmset {
namespace {

constexpr size_t kChunkBytes = 64 * kKiB;
// A pickle or JSON text compresses to a tenth; from this on it is made to be a bomb.
constexpr uint64_t kMaxRatio = 200;
constexpr uint64_t kSmallBytes = kMiB;  // which may have any ratio

Status Corrupt(const ZipEntry& entry, std::string_view what) {
  return AtOffset(
      Error(ErrorCode::kCorruptedModel, fmt::format("entry '{}' {}", Shown(entry.name), what)),
      entry.header_offset);
}

uint32_t Crc(uint32_t crc, std::span<const std::byte> bytes) {
  return static_cast<uint32_t>(
      crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

StatusOr<uint32_t> CrcOf(ByteSource& source) {
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kChunkBytes);
  uint32_t crc = 0;
  for (uint64_t at = 0; at < source.size(); at += kChunkBytes) {
    const std::span chunk(buffer.get(), std::min<uint64_t>(kChunkBytes, source.size() - at));
    RETURN_IF_ERROR(source.Read(at, chunk));
    crc = Crc(crc, chunk);
  }
  return crc;
}

// Ends zlib's state with the scope.
class Inflater {
 public:
  Inflater() { ready_ = inflateInit2(&stream_, -MAX_WBITS) == Z_OK; }
  ~Inflater() {
    if (ready_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // Appends what the packed bytes unpack to; what is wrong with them otherwise.
  // Stops at the first byte above the limit.
  std::string_view Run(std::span<std::byte> packed, uint64_t max_bytes, std::string& out) {
    if (!ready_) return "can't be unpacked: out of memory";
    stream_.next_in = reinterpret_cast<Bytef*>(packed.data());
    stream_.avail_in = static_cast<uInt>(packed.size());
    std::array<Bytef, 16 * kKiB> chunk;
    while (!done_) {
      stream_.next_out = chunk.data();
      stream_.avail_out = chunk.size();
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
        return "is damaged: its compressed data is broken";
      }
      const size_t produced = chunk.size() - stream_.avail_out;
      out.append(reinterpret_cast<const char*>(chunk.data()), produced);
      if (out.size() > max_bytes) return "unpacks to more than a model's header may have";
      done_ = result == Z_STREAM_END;
      if (produced < chunk.size()) break;  // wants more
    }
    return {};
  }
  bool done() const { return done_; }

 private:
  z_stream stream_ = {};
  bool ready_ = false;
  bool done_ = false;
};

// What could be unpacked is in `out` also when there is a problem. An error only
// when the file can't be read.
Status Inflate(ByteSource& packed, const ZipEntry& entry, std::string& out, Status& problem) {
  const uint64_t max_bytes =
      std::min(kMaxInflatedBytes, std::max(kSmallBytes, packed.size() * kMaxRatio));
  if (entry.bytes <= max_bytes) out.reserve(entry.bytes);
  Inflater inflater;
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kChunkBytes);
  for (uint64_t at = 0; at < packed.size() && !inflater.done(); at += kChunkBytes) {
    const std::span chunk(buffer.get(), std::min<uint64_t>(kChunkBytes, packed.size() - at));
    RETURN_IF_ERROR(packed.Read(at, chunk));
    const std::string_view wrong = inflater.Run(chunk, max_bytes, out);
    if (!wrong.empty()) {
      problem = Corrupt(entry, wrong);
      return OkStatus();
    }
  }
  if (!inflater.done()) {
    problem = Corrupt(entry, "is damaged: its compressed data ends early");
  } else if (out.size() != entry.bytes) {
    problem = Corrupt(entry, fmt::format("unpacks to {} bytes and is said to have {}", out.size(),
                                         entry.bytes));
  }
  return OkStatus();
}

}  // namespace

StatusOr<ZipContent> ZipContent::Open(ByteSource& file, const ZipEntry& entry) {
  ZipContent content;
  auto stored = std::make_unique<SourcePart>(file, entry.data_offset, entry.stored_bytes);
  if (entry.method == kZipStored) {
    content.source_ = std::move(stored);
    content.file_offset_ = entry.data_offset;
  } else if (entry.method == kZipDeflated) {
    content.inflated_ = std::make_unique<std::string>();
    RETURN_IF_ERROR(Inflate(*stored, entry, *content.inflated_, content.problem_));
    content.source_ = std::make_unique<MemorySource>(AsBytes(*content.inflated_), /*is_part=*/true);
  } else {
    return AtOffset(Error(ErrorCode::kUnsupportedFormat,
                          fmt::format("entry '{}' is compressed by method {}, which is not read "
                                      "here; pack the archive again without compression",
                                      Shown(entry.name), entry.method)),
                    entry.header_offset);
  }
  if (content.problem_.ok() && content.source_->size() <= kMaxInflatedBytes) {
    ASSIGN_OR_RETURN(const uint32_t crc, CrcOf(*content.source_));
    if (crc != entry.crc) {
      content.problem_ = Corrupt(entry, "is damaged: its checksum is not what the archive says");
    }
  }
  return content;
}

}  // namespace warmset
