#include "cache/claim/file_hash.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "cache/claim/content_hasher.h"
#include "os/file.h"

namespace warmset {
namespace {

// Read and hashed at once: it stays in a core's cache, and an entry's owner that wants
// its memory back waits for no more.
constexpr size_t kPieceBytes = 256 * kKiB;

// The file on the disk, opened when the first byte is needed that RAM lacks.
class FileOnDisk {
 public:
  explicit FileOnDisk(const SourceFile& file) : file_(file) {}

  Status Read(uint64_t offset, std::span<std::byte> buffer) {
    if (fd_ < 0) RETURN_IF_ERROR(Open());
    return Annotate(os::ReadExactly(fd_, buffer, offset), file_.path);
  }
  // OK when nothing was read, too.
  Status CheckUnchanged() const {
    if (fd_ < 0) return OkStatus();
    ASSIGN_OR_RETURN(const os::FileIdentity now, os::Identify(fd_));
    if (now == file_.identity) return OkStatus();
    return Error(ErrorCode::kFileChanged, file_.path + " changed while its hash was taken");
  }

 private:
  Status Open() {
    if (file_.passed != nullptr) {
      fd_ = file_.passed->get();
    } else {
      ASSIGN_OR_RETURN(own_, os::OpenForRead(file_.path));
      fd_ = own_.get();
    }
    return CheckUnchanged();
  }

  const SourceFile& file_;
  os::UniqueFd own_;
  int fd_ = -1;
};

}  // namespace

ResidentRuns::ResidentRuns(std::vector<ResidentRun> runs) : runs_(std::move(runs)) {
  std::sort(runs_.begin(), runs_.end(), [](const ResidentRun& a, const ResidentRun& b) {
    return a.file_offset < b.file_offset;
  });
}

void ResidentRuns::Withdraw() {
  absl::MutexLock lock(&mutex_);
  runs_.clear();
}

StatusOr<uint64_t> ResidentRuns::Read(uint64_t offset, std::span<std::byte> buffer,
                                      uint64_t* resident_from) {
  absl::MutexLock lock(&mutex_);
  // Runs of several components may share the pages at their edges.
  for (const ResidentRun& run : runs_) {
    if (run.file_offset > offset) {
      *resident_from = std::min(*resident_from, run.file_offset);
      return 0;
    }
    const uint64_t end = run.file_offset + run.bytes;
    if (end <= offset) continue;
    const uint64_t bytes = std::min<uint64_t>(buffer.size(), end - offset);
    RETURN_IF_ERROR(os::ReadExactly(run.data_fd, buffer.first(bytes),
                                    run.entry_offset + (offset - run.file_offset)));
    return bytes;
  }
  return 0;
}

StatusOr<std::string> HashFile(std::string_view claim, const SourceFile& file,
                               ResidentRuns& resident, std::stop_token stop) {
  const uint64_t size = file.identity.size;
  ASSIGN_OR_RETURN(ContentHasher hasher, ContentHasher::Create(claim, size));
  FileOnDisk disk(file);
  std::vector<std::byte> buffer(kPieceBytes);
  for (uint64_t at = 0; at < size;) {
    if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "the check was stopped");
    const auto room = std::span(buffer).first(std::min<uint64_t>(buffer.size(), size - at));
    uint64_t resident_from = size;
    ASSIGN_OR_RETURN(uint64_t bytes, resident.Read(at, room, &resident_from));
    if (bytes == 0) {
      bytes = std::min<uint64_t>(room.size(), resident_from - at);
      RETURN_IF_ERROR(disk.Read(at, room.first(bytes)));
    }
    hasher.Update(room.first(bytes));
    at += bytes;
  }
  RETURN_IF_ERROR(disk.CheckUnchanged());
  return hasher.Finish();
}

}  // namespace warmset
