#include "device/host/host_device.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/digest.h"
#include "base/units.h"
#include "fmt/format.h"
#include "os/file.h"
#include "os/huge_pages.h"
#include "os/mapping.h"
#include "os/memory_file.h"

namespace warmset {
namespace {

constexpr uint64_t kPage = 4 * kKiB;
// Not os::EntryMemoryName: this memory has its own budget and is not what a
// daemon looks for when it counts entries that clients still map.
constexpr std::string_view kChunkMemoryName = "warmset-device";

// What is left of the arena. Thread-safe.
class Budget {
 public:
  explicit Budget(ByteCount limit) : info_{limit, ByteCount()} {}

  Status Take(ByteCount bytes) {
    absl::MutexLock lock(&mutex_);
    if (bytes > info_.free()) {
      const auto sizes = FormatSizes({bytes, info_.free(), info_.limit});
      return Error(ErrorCode::kInsufficientDeviceMemory,
                   fmt::format("{} are needed, {} of {} are free; unload something, or give the "
                               "device more memory",
                               sizes[0], sizes[1], sizes[2]));
    }
    info_.used += bytes;
    return OkStatus();
  }
  void Return(ByteCount bytes) {
    absl::MutexLock lock(&mutex_);
    info_.used -= bytes;
  }
  DeviceMemoryInfo info() const {
    absl::MutexLock lock(&mutex_);
    return info_;
  }

 private:
  mutable absl::Mutex mutex_;
  DeviceMemoryInfo info_ ABSL_GUARDED_BY(mutex_);
};

class HostMemory : public DeviceMemory {
 public:
  HostMemory(const DeviceUuid& device, Budget& budget, uint64_t bytes, uint64_t chunk_bytes,
             uint64_t allocated_bytes)
      : device_(device),
        budget_(budget),
        bytes_(bytes),
        chunk_bytes_(chunk_bytes),
        allocated_bytes_(allocated_bytes) {}
  ~HostMemory() override {
    chunks_.clear();
    budget_.Return(ByteCount(allocated_bytes_));
  }

  Status CreateChunks() {
    for (uint64_t done = 0; done < allocated_bytes_; done += chunk_bytes_) {
      ASSIGN_OR_RETURN(os::MemoryFile chunk,
                       os::MemoryFile::Create(kChunkMemoryName,
                                              std::min(chunk_bytes_, allocated_bytes_ - done)));
      chunks_.push_back({std::move(chunk)});
    }
    return OkStatus();
  }

  uint64_t bytes() const override { return bytes_; }
  uint64_t allocated_bytes() const override { return allocated_bytes_; }

  Status Write(uint64_t offset, std::span<const std::byte> from) override {
    RETURN_IF_ERROR(CheckRange(offset, from.size()));
    while (!from.empty()) {
      Chunk& chunk = chunks_[offset / chunk_bytes_];
      const uint64_t start = offset % chunk_bytes_;
      const std::span<std::byte> rest = chunk.file.writable().span().subspan(start);
      const size_t count = std::min(rest.size(), from.size());
      chunk.TouchUpTo(start + count);
      std::memcpy(rest.data(), from.data(), count);
      from = from.subspan(count);
      offset += count;
    }
    return OkStatus();
  }

  Status Read(uint64_t offset, std::span<std::byte> to) const override {
    RETURN_IF_ERROR(CheckRange(offset, to.size()));
    while (!to.empty()) {
      const os::MemoryFile& chunk = chunks_[offset / chunk_bytes_].file;
      ASSIGN_OR_RETURN(
          const os::Mapping mapped,
          os::Mapping::Create(chunk.fd(), chunk.size(), os::Mapping::Kind::kSharedReadOnly));
      const std::span<const std::byte> rest = mapped.span().subspan(offset % chunk_bytes_);
      const size_t count = std::min(rest.size(), to.size());
      std::memcpy(to.data(), rest.data(), count);
      to = to.subspan(count);
      offset += count;
    }
    return OkStatus();
  }

  Status Publish() override {
    for (Chunk& chunk : chunks_) {
      if (!chunk.file.sealed()) RETURN_IF_ERROR(chunk.file.Seal());
    }
    return OkStatus();
  }

  StatusOr<std::vector<ChunkHandle>> Export() const override {
    std::vector<ChunkHandle> handles;
    for (const Chunk& chunk : chunks_) {
      ChunkHandle handle;
      ASSIGN_OR_RETURN(handle.fd, os::Duplicate(chunk.file.fd()));
      handle.device = device_;
      handle.allocation_bytes = chunk.file.size();
      handle.payload_bytes = chunk.file.size();
      handle.generation = Generation(1);  // host memory never moves
      handles.push_back(std::move(handle));
    }
    return handles;
  }

 private:
  struct Chunk {
    os::MemoryFile file;
    uint64_t touched = 0;  // from its start; a multiple of huge pages, or all

    // First touch by huge pages, in steps that take a millisecond, costs a
    // tenth of what the copy's own page faults would.
    void TouchUpTo(uint64_t end) {
      while (touched < end) {
        const uint64_t step = std::min(8 * os::kHugePageBytes, file.size() - touched);
        os::TouchMemory(file.writable().span().subspan(touched, step));
        touched += step;
      }
    }
  };

  Status CheckRange(uint64_t offset, uint64_t count) const {
    if (offset <= bytes_ && count <= bytes_ - offset) return OkStatus();
    return Error(
        ErrorCode::kInvalidRequest,
        fmt::format("{} bytes at {} are outside a placement of {}", count, offset, bytes_));
  }

  const DeviceUuid device_;
  Budget& budget_;
  const uint64_t bytes_;
  const uint64_t chunk_bytes_;      // of all but the last
  const uint64_t allocated_bytes_;  // taken from the budget
  std::vector<Chunk> chunks_;
};

std::string ProcessorName() {
  const auto cpuinfo = os::ReadSmallFile("/proc/cpuinfo", kMiB);
  if (!cpuinfo.ok()) return "CPU";
  const size_t field = cpuinfo->find("model name");
  const size_t colon = cpuinfo->find(": ", field);
  if (field == std::string::npos || colon == std::string::npos) return "CPU";
  return cpuinfo->substr(colon + 2, cpuinfo->find('\n', colon) - colon - 2);
}

class HostDevice : public Device {
 public:
  HostDevice(const DeviceId& id, ByteCount memory)
      : identity_{.id = id,
                  .backend = "host",
                  .name = ProcessorName(),
                  .uuid = Xxh3(AsBytes("warmset " + id.value())),
                  .pci_address = ""},
        budget_(memory) {}

  const DeviceIdentity& identity() const override { return identity_; }
  const DeviceCapabilities& capabilities() const override { return capabilities_; }
  StatusOr<DeviceMemoryInfo> memory() const override { return budget_.info(); }

  StatusOr<std::unique_ptr<DeviceMemory>> Allocate(ByteCount bytes) override {
    // Rounding up wraps around only for a size that no budget has.
    const uint64_t allocated = std::max(bytes.value(), AlignUp(bytes.value(), kPage));
    RETURN_IF_ERROR(budget_.Take(ByteCount(allocated)));
    auto memory = std::make_unique<HostMemory>(identity_.uuid, budget_, bytes.value(),
                                               ChunkBytesFor(bytes, capabilities_), allocated);
    RETURN_IF_ERROR(memory->CreateChunks());
    return memory;
  }

 private:
  const DeviceIdentity identity_;
  const DeviceCapabilities capabilities_{
      .shared_pool = true, .chunk_granularity = kPage, .max_chunk_bytes = 256 * kMiB};
  Budget budget_;
};

}  // namespace

StatusOr<std::unique_ptr<Device>> OpenHostDevice(const DeviceId& id, ByteCount memory) {
  return std::make_unique<HostDevice>(id, memory);
}

}  // namespace warmset
