#include "inspect/zip/zip_directory.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <optional>
#include <unordered_set>

#include "base/byte_reader.h"
#include "base/digest.h"
#include "base/strong.h"
#include "fmt/format.h"
#include "inspect/cut_off.h"
#include "inspect/shown.h"

namespace warmset {
namespace {

constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kZip64EndSignature = 0x06064b50;
constexpr uint32_t kZip64LocatorSignature = 0x07064b50;
constexpr uint64_t kLocalBytes = 30;
constexpr uint64_t kCentralBytes = 46;
constexpr uint64_t kEndBytes = 22;
constexpr uint64_t kZip64EndBytes = 56;
constexpr uint64_t kZip64LocatorBytes = 20;
constexpr uint64_t kMaxCommentBytes = UINT16_MAX;
constexpr uint16_t kZip64ExtraTag = 1;
constexpr uint32_t kFull32 = UINT32_MAX;  // the number stands in the zip64 record
constexpr uint16_t kFull16 = UINT16_MAX;

constexpr uint16_t kSizesFollowData = 0x8;
// Encrypted, patched, strongly encrypted: no model is, and scanners trip over them.
constexpr uint16_t kForbiddenFlags = 0x1 | 0x20 | 0x40;

// Bounds of memory and time, far above what any model has.
constexpr uint64_t kMaxEntries = 1'000'000;
constexpr uint64_t kMaxDirectoryBytes = 128 * kMiB;
constexpr size_t kMaxProblems = 20;
constexpr uint64_t kMaxSearchBytes = 64 * kMiB;

Status Corrupt(std::string_view what, uint64_t offset) {
  return AtOffset(Error(ErrorCode::kCorruptedModel, what), offset);
}

// Whether it would be unpacked outside of the folder, on any system.
bool LeadsOut(std::string_view name) {
  if (name.starts_with('/') || name.starts_with('\\')) return true;
  if (name.size() > 1 && name[1] == ':') return true;
  while (!name.empty()) {
    const size_t end = std::min(name.find_first_of("/\\"), name.size());
    if (name.substr(0, end) == "..") return true;
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return false;
}

struct LocalHeader {
  uint16_t flags = 0;
  uint16_t method = 0;
  uint32_t crc = 0;
  uint64_t stored_bytes = 0;
  uint64_t bytes = 0;
  std::string name;
  uint64_t data_offset = 0;
};

// Where a zip64 record takes over numbers that are full in the record itself.
// Numbers that are not full stay; false when there are too few in it.
bool TakeFromZip64(std::string_view extra, std::span<uint64_t* const> full) {
  if (full.empty()) return true;
  ByteReader in(AsBytes(extra));
  while (in.remaining() >= 4) {
    const uint16_t tag = *in.Read<uint16_t>();
    const uint16_t bytes = *in.Read<uint16_t>();
    const auto content = in.ReadBytes(bytes);
    if (!content.ok()) return false;
    if (tag != kZip64ExtraTag) continue;
    ByteReader numbers(*content);
    for (uint64_t* number : full) {
      const auto read = numbers.Read<uint64_t>();
      if (!read.ok()) return false;
      *number = *read;
    }
    return true;
  }
  return false;
}

// Reads one archive. Used once.
class DirectoryReader {
 public:
  explicit DirectoryReader(ByteSource& file) : file_(file) {}

  StatusOr<ZipDirectory> Read() {
    Status status = ReadCentral();
    if (CodeOf(status) == ErrorCode::kCorruptedModel || result_.cut_off) {
      // Whatever a loader makes of it, the entries may be looked for.
      Note(std::move(status));
      status = Search();
    }
    RETURN_IF_ERROR(status);
    return std::move(result_);
  }

 private:
  struct End {
    uint64_t entries = 0;
    uint64_t directory_offset = 0;
    uint64_t directory_bytes = 0;
    uint64_t at = 0;  // where the first of the end records begins
  };

  Status ReadCentral() {
    ASSIGN_OR_RETURN(const End end, FindEnd());
    if (end.directory_offset > end.at || end.directory_bytes > end.at - end.directory_offset) {
      return Corrupt(fmt::format("the archive's directory of {} bytes at {} does not lie before "
                                 "its end record",
                                 end.directory_bytes, end.directory_offset),
                     end.at);
    }
    uint64_t directory = end.directory_offset;
    if (directory + end.directory_bytes != end.at) {
      // Some loaders count from the front, others from the end.
      Note(Corrupt(fmt::format("{} bytes lie between the archive's directory and its end record",
                               end.at - directory - end.directory_bytes),
                   directory + end.directory_bytes));
      uint32_t signature = 0;
      RETURN_IF_ERROR(file_.Read(directory, std::as_writable_bytes(std::span(&signature, 1))));
      if (signature != kCentralSignature) directory = end.at - end.directory_bytes;
    }
    if (end.entries > kMaxEntries || end.directory_bytes > kMaxDirectoryBytes) {
      return Corrupt(fmt::format("the archive's directory has {} entries in {} bytes; no model has "
                                 "so many",
                                 end.entries, end.directory_bytes),
                     end.at);
    }
    if (end.entries > end.directory_bytes / kCentralBytes) {
      return Corrupt(fmt::format("the archive's directory has {} bytes, too few for {} entries",
                                 end.directory_bytes, end.entries),
                     end.at);
    }
    directory_ = directory;
    SourceReader in(file_, directory, directory + end.directory_bytes);
    for (uint64_t i = 0; i < end.entries; ++i) RETURN_IF_ERROR(ReadCentralEntry(in));
    if (in.remaining() != 0) {
      Note(Corrupt(fmt::format("the archive's directory has more than its {} entries", end.entries),
                   in.offset()));
      while (in.remaining() >= kCentralBytes && result_.entries.size() < kMaxEntries) {
        if (!ReadCentralEntry(in).ok()) break;
      }
    }
    CheckNames();
    CheckPlaces();
    return OkStatus();
  }

  // The last end record; the archive's comment may follow it.
  StatusOr<End> FindEnd() {
    const uint64_t tail_bytes = std::min(file_.size(), kEndBytes + kMaxCommentBytes);
    const uint64_t tail_begin = file_.size() - tail_bytes;
    ASSIGN_OR_RETURN(const std::string tail, ReadText(file_, tail_begin, tail_bytes));
    const std::string_view signature("PK\5\6", 4);
    const size_t found =
        tail_bytes < kEndBytes ? std::string::npos : tail.rfind(signature, tail_bytes - kEndBytes);
    if (found == std::string::npos) {
      result_.cut_off = !file_.is_part();
      return result_.cut_off ? CutOffWithin(file_.size(), "an archive that has no end record")
                             : Corrupt("the archive has no end record", file_.size());
    }
    End end;
    end.at = tail_begin + found;
    ByteReader in(AsBytes(std::string_view(tail).substr(found + signature.size())));
    const uint16_t disk = *in.Read<uint16_t>();
    const uint16_t directory_disk = *in.Read<uint16_t>();
    const uint16_t entries_here = *in.Read<uint16_t>();
    const uint16_t entries = *in.Read<uint16_t>();
    const uint32_t directory_bytes = *in.Read<uint32_t>();
    const uint32_t directory_offset = *in.Read<uint32_t>();
    const uint16_t comment_bytes = *in.Read<uint16_t>();
    if (in.remaining() != comment_bytes) {
      Note(Corrupt(fmt::format("{} bytes follow the archive's end record, which says {}",
                               in.remaining(), comment_bytes),
                   end.at + kEndBytes));
    }
    end.entries = entries;
    end.directory_bytes = directory_bytes;
    end.directory_offset = directory_offset;
    ASSIGN_OR_RETURN(const bool zip64, ReadZip64End(end, entries, directory_bytes,
                                                    directory_offset));
    if (!zip64 && (disk != 0 || directory_disk != 0 || entries_here != entries)) {
      Note(Corrupt("the archive says that it is one of several", end.at));
    }
    return end;
  }

  // Whether there is a zip64 end record; then its numbers count. Those of the
  // plain one must be full or the same.
  StatusOr<bool> ReadZip64End(End& end, uint16_t entries, uint32_t directory_bytes,
                              uint32_t directory_offset) {
    if (end.at < kZip64LocatorBytes) return false;
    const uint64_t locator_at = end.at - kZip64LocatorBytes;
    SourceReader locator(file_, locator_at, end.at);
    if (*locator.Read<uint32_t>() != kZip64LocatorSignature) {
      return false;
    }
    RETURN_IF_ERROR(locator.Skip(sizeof(uint32_t)));
    const uint64_t record_at = *locator.Read<uint64_t>();
    if (locator_at < kZip64EndBytes || record_at > locator_at - kZip64EndBytes) {
      return Corrupt(fmt::format("the archive's zip64 record is said to lie at {}", record_at),
                     locator_at);
    }
    SourceReader in(file_, record_at, locator_at);
    ASSIGN_OR_RETURN(const uint32_t signature, in.Read<uint32_t>());
    if (signature != kZip64EndSignature) {
      return Corrupt("there is no zip64 record where the archive says", record_at);
    }
    RETURN_IF_ERROR(in.Skip(8 + 2 + 2 + 4 + 4 + 8));  // size, versions, disks, entries here
    ASSIGN_OR_RETURN(end.entries, in.Read<uint64_t>());
    ASSIGN_OR_RETURN(end.directory_bytes, in.Read<uint64_t>());
    ASSIGN_OR_RETURN(end.directory_offset, in.Read<uint64_t>());
    end.at = record_at;
    if ((entries != kFull16 && entries != end.entries) ||
        (directory_bytes != kFull32 && directory_bytes != end.directory_bytes) ||
        (directory_offset != kFull32 && directory_offset != end.directory_offset)) {
      Note(Corrupt("the archive's zip64 record and its end record contradict each other",
                   record_at));
    }
    return true;
  }

  Status ReadCentralEntry(SourceReader& in) {
    const uint64_t at = in.offset();
    ASSIGN_OR_RETURN(const std::string fixed, in.ReadString(kCentralBytes, kCentralBytes));
    ByteReader head(AsBytes(fixed));
    if (*head.Read<uint32_t>() != kCentralSignature) {
      return Corrupt("the archive's directory is damaged", at);
    }
    ZipEntry entry;
    (void)head.ReadBytes(4);  // versions
    const uint16_t flags = *head.Read<uint16_t>();
    entry.method = *head.Read<uint16_t>();
    (void)head.ReadBytes(4);  // time
    entry.crc = *head.Read<uint32_t>();
    entry.stored_bytes = *head.Read<uint32_t>();
    entry.bytes = *head.Read<uint32_t>();
    const uint16_t name_bytes = *head.Read<uint16_t>();
    const uint16_t extra_bytes = *head.Read<uint16_t>();
    const uint16_t comment_bytes = *head.Read<uint16_t>();
    (void)head.ReadBytes(8);  // disk, attributes
    entry.header_offset = *head.Read<uint32_t>();
    ASSIGN_OR_RETURN(entry.name, in.ReadString(name_bytes, name_bytes));
    ASSIGN_OR_RETURN(const std::string extra, in.ReadString(extra_bytes, extra_bytes));
    RETURN_IF_ERROR(in.Skip(comment_bytes));

    std::vector<uint64_t*> full;
    for (uint64_t* number : {&entry.bytes, &entry.stored_bytes, &entry.header_offset}) {
      if (*number == kFull32) full.push_back(number);
    }
    if (!TakeFromZip64(extra, full)) {
      Note(Corrupt(fmt::format("entry '{}': its zip64 record is damaged", Shown(entry.name)), at));
      return OkStatus();
    }
    return AddEntry(std::move(entry), flags, at);
  }

  // Compares an entry with its own header.
  Status AddEntry(ZipEntry entry, uint16_t flags, uint64_t at) {
    if (entry.name.empty() || entry.name.find('\0') != std::string::npos) {
      Note(Corrupt("an entry of the archive has no usable name", at));
    }
    auto local = ReadLocal(entry.header_offset);
    if (!local.ok()) {
      if (CodeOf(local.status()) != ErrorCode::kCorruptedModel) return local.status();
      Note(Annotate(local.status(), fmt::format("entry '{}'", Shown(entry.name))));
      return OkStatus();
    }
    entry.data_offset = local->data_offset;
    const auto differs = [&](std::string_view what) {
      Note(Corrupt(fmt::format("entry '{}': the archive's directory and its own header differ in "
                               "the {}",
                               Shown(entry.name), what),
                   entry.header_offset));
    };
    if (local->name != entry.name) {
      differs("name");
      entry.local_name = std::move(local->name);
    }
    if (local->method != entry.method) differs("method");
    if ((local->flags & kSizesFollowData) == 0) {
      if (local->crc != entry.crc) differs("checksum");
      if (local->stored_bytes != entry.stored_bytes || local->bytes != entry.bytes) {
        differs("size");
      }
    }
    if (((flags | local->flags) & kForbiddenFlags) != 0) {
      Note(Corrupt(fmt::format("entry '{}' is flagged as encrypted or patched (flags {:#x}), which "
                               "no model is",
                               Shown(entry.name), flags | local->flags),
                   entry.header_offset));
    }
    if (entry.method == kZipStored && entry.bytes != entry.stored_bytes) {
      Note(Corrupt(fmt::format("entry '{}' is stored in {} bytes and said to have {}",
                               Shown(entry.name), entry.stored_bytes, entry.bytes),
                   entry.header_offset));
    }
    if (entry.stored_bytes > file_.size() - entry.data_offset) {
      Note(Corrupt(fmt::format("entry '{}': {} bytes at {} lie outside of the file of {} bytes",
                               Shown(entry.name), entry.stored_bytes, entry.data_offset,
                               file_.size()),
                   entry.header_offset));
      entry.stored_bytes = file_.size() - entry.data_offset;  // what there is may be looked at
    }
    result_.entries.push_back(std::move(entry));
    return OkStatus();
  }

  StatusOr<LocalHeader> ReadLocal(uint64_t at) {
    std::array<std::byte, kLocalBytes> fixed;
    RETURN_IF_ERROR(file_.Read(at, fixed));
    ByteReader head(fixed);
    if (*head.Read<uint32_t>() != kLocalSignature) {
      return Corrupt("there is no header where the archive's directory says", at);
    }
    LocalHeader local;
    (void)head.ReadBytes(2);  // version
    local.flags = *head.Read<uint16_t>();
    local.method = *head.Read<uint16_t>();
    (void)head.ReadBytes(4);  // time
    local.crc = *head.Read<uint32_t>();
    local.stored_bytes = *head.Read<uint32_t>();
    local.bytes = *head.Read<uint32_t>();
    const uint16_t name_bytes = *head.Read<uint16_t>();
    const uint16_t extra_bytes = *head.Read<uint16_t>();
    ASSIGN_OR_RETURN(local.name, ReadText(file_, at + kLocalBytes, name_bytes));
    local.data_offset = at + kLocalBytes + name_bytes + extra_bytes;
    if (local.data_offset > file_.size()) {
      return Corrupt("its header does not end within the file", at);
    }
    if (local.bytes == kFull32 || local.stored_bytes == kFull32) {
      ASSIGN_OR_RETURN(const std::string extra,
                       ReadText(file_, at + kLocalBytes + name_bytes, extra_bytes));
      std::vector<uint64_t*> full;
      for (uint64_t* number : {&local.bytes, &local.stored_bytes}) {
        if (*number == kFull32) full.push_back(number);
      }
      // Otherwise they stay full and differ from the directory's.
      (void)TakeFromZip64(extra, full);
    }
    return local;
  }

  void CheckNames() {
    std::unordered_set<std::string_view> seen;
    for (const ZipEntry& entry : result_.entries) {
      if (!seen.insert(entry.name).second) {
        Note(Corrupt(fmt::format("the archive has two entries '{}'", Shown(entry.name)),
                     entry.header_offset));
      }
      for (const std::string* name : {&entry.name, &entry.local_name}) {
        if (!LeadsOut(*name)) continue;
        Note(AtOffset(Error(ErrorCode::kUnsafeModel,
                            fmt::format("entry '{}' would be unpacked outside of its folder",
                                        Shown(*name))),
                      entry.header_offset));
      }
    }
  }

  // Entries lie one after another, from the start of the file to the directory.
  void CheckPlaces() {
    std::vector<uint32_t> order(result_.entries.size());
    std::iota(order.begin(), order.end(), 0u);
    const auto& entries = result_.entries;
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return entries[a].header_offset < entries[b].header_offset;
    });
    if (!order.empty() && entries[order.front()].header_offset != 0) {
      Note(Corrupt(fmt::format("{} bytes lie before the archive's first entry",
                               entries[order.front()].header_offset),
                   0));
    }
    for (size_t i = 0; i < order.size(); ++i) {
      const ZipEntry& entry = entries[order[i]];
      const uint64_t next =
          i + 1 < order.size() ? entries[order[i + 1]].header_offset : directory_;
      if (entry.data_offset <= next && entry.stored_bytes <= next - entry.data_offset) continue;
      Note(Corrupt(fmt::format("entry '{}' overlaps with what follows it", Shown(entry.name)),
                   entry.header_offset));
    }
  }

  // Lists whatever looks like an entry's header near the start of the file.
  Status Search() {
    result_.entries.clear();
    const uint64_t end = std::min(file_.size(), kMaxSearchBytes);
    constexpr uint64_t kStep = kMiB;
    for (uint64_t begin = 0; begin < end; begin += kStep) {
      const uint64_t bytes = std::min(kStep + kZipMagic.size() - 1, end - begin);
      ASSIGN_OR_RETURN(const std::string text, ReadText(file_, begin, bytes));
      for (size_t at = text.find(kZipMagic); at != std::string::npos;
           at = text.find(kZipMagic, at + 1)) {
        if (at < kStep) RETURN_IF_ERROR(AddFound(begin + at));
      }
    }
    return OkStatus();
  }

  Status AddFound(uint64_t at) {
    constexpr size_t kMaxFound = 10'000;
    if (result_.entries.size() == kMaxFound) return OkStatus();
    const auto local = ReadLocal(at);
    if (!local.ok()) {
      return CodeOf(local.status()) == ErrorCode::kCorruptedModel ? OkStatus() : local.status();
    }
    const uint64_t left = file_.size() - local->data_offset;
    const bool sized = (local->flags & kSizesFollowData) == 0 && local->stored_bytes <= left;
    ZipEntry entry;
    entry.name = local->name;
    entry.method = local->method;
    entry.crc = local->crc;
    entry.header_offset = at;
    entry.data_offset = local->data_offset;
    entry.stored_bytes = sized ? local->stored_bytes : left;
    entry.bytes = sized ? local->bytes : left;
    result_.entries.push_back(std::move(entry));
    return OkStatus();
  }

  // The worst are kept when there are too many.
  void Note(Status problem) {
    auto& problems = result_.problems;
    if (problems.size() < kMaxProblems) {
      problems.push_back(std::move(problem));
    } else if (CodeOf(problem) == ErrorCode::kUnsafeModel) {
      problems.back() = std::move(problem);
    }
  }

  ByteSource& file_;
  uint64_t directory_ = 0;  // where the central directory begins
  ZipDirectory result_;
};

}  // namespace

StatusOr<ZipDirectory> ReadZipDirectory(ByteSource& file) { return DirectoryReader(file).Read(); }

std::string FirstZipEntryName(std::span<const std::byte> start) {
  constexpr size_t kNameBytesAt = 26;
  const std::string_view text(reinterpret_cast<const char*>(start.data()), start.size());
  if (!text.starts_with(kZipMagic) || text.size() < kLocalBytes) return {};
  uint16_t name_bytes = 0;
  std::memcpy(&name_bytes, text.data() + kNameBytesAt, sizeof name_bytes);
  if (name_bytes > text.size() - kLocalBytes) return {};
  return std::string(text.substr(kLocalBytes, name_bytes));
}

}  // namespace warmset
