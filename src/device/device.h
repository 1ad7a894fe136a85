// What every kind of device offers: memory of its own in chunks, copies into
// and out of it, and handles by which another process can map a chunk.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/strong.h"
#include "os/unique_fd.h"

namespace warmset {

// The same value in every process and after every restart, as the driver gives
// it (host: derived from the device's id).
using DeviceUuid = std::array<std::byte, 16>;

struct DeviceIdentity {
  DeviceId id;          // "host:0"
  std::string backend;  // "host"
  std::string name;     // as the driver gives it
  DeviceUuid uuid{};
  std::string pci_address;  // "0000:01:00.0"; empty where there is none
};

struct DeviceCapabilities {
  bool shared_pool = false;        // can use an entry's own pages
  uint64_t chunk_granularity = 0;  // chunk sizes are multiples of it
  uint64_t max_chunk_bytes = 0;    // see ChunkBytesFor()
};

// As the driver reports it. `used` counts whole chunks, of this process only
// where the driver cannot tell more.
struct DeviceMemoryInfo {
  ByteCount limit;
  ByteCount used;
  ByteCount free() const { return used < limit ? limit - used : ByteCount(); }
};

enum class HandleKind { kMemfd };

// A chunk that another process can map: `payload_bytes` bytes at
// `payload_offset` of an allocation of `allocation_bytes`.
struct ChunkHandle {
  HandleKind kind = HandleKind::kMemfd;
  os::UniqueFd fd;  // owned, independent of the chunk's
  DeviceUuid device{};
  uint64_t allocation_bytes = 0;
  uint64_t payload_offset = 0;
  uint64_t payload_bytes = 0;
  Generation generation;  // of the memory; another one means that it moved
};

// Device memory of one component: whole chunks that, one after another, form
// one range. It is created writable, published once, and freed by its
// destructor; handles that were exported keep their pages until they are gone.
// Not thread-safe, but it may be used on another thread than its device.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;

  // What was asked for; the chunks hold at least that.
  virtual uint64_t bytes() const = 0;
  virtual uint64_t allocated_bytes() const = 0;

  // Copies from host memory. REQUIRES: not published.
  // kInvalidRequest when the range leaves the memory.
  virtual Status Write(uint64_t offset, std::span<const std::byte> from) = 0;
  // Copies to host memory; kInvalidRequest as above.
  virtual Status Read(uint64_t offset, std::span<std::byte> to) const = 0;

  // Waits for the writes and makes the content final: where the platform can
  // enforce it, neither this process nor a receiver of a handle can change it.
  virtual Status Publish() = 0;

  // A handle for each chunk, in order. REQUIRES: published.
  virtual StatusOr<std::vector<ChunkHandle>> Export() const = 0;
};

// Thread-safe. Must outlive its DeviceMemory.
class Device {
 public:
  virtual ~Device() = default;

  virtual const DeviceIdentity& identity() const = 0;
  virtual const DeviceCapabilities& capabilities() const = 0;
  virtual StatusOr<DeviceMemoryInfo> memory() const = 0;

  // kInsufficientDeviceMemory, naming what was wanted, what is free and the
  // limit; then nothing changed. REQUIRES: bytes > 0.
  virtual StatusOr<std::unique_ptr<DeviceMemory>> Allocate(ByteCount bytes) = 0;
};

// The size of the chunks for a component, a multiple of granularity: 256 MiB,
// less for a component that fits in one, more for one that would need more
// chunks than kMaxChunks.
uint64_t ChunkBytesFor(ByteCount component, const DeviceCapabilities& capabilities);
// A placement's index and chunks must pass in one message (SCM_MAX_FD is 253).
inline constexpr uint64_t kMaxChunks = 250;

// "host": the kinds of devices that this version can open.
std::span<const std::string_view> DeviceBackends();

// Opens "host:N" with a budget for its arena. kDeviceNotFound for a backend
// that does not exist, kInvalidConfig for an id of another form.
StatusOr<std::unique_ptr<Device>> OpenDevice(const DeviceId& id, ByteCount memory);

}  // namespace warmset
