#include "worker/placements.h"

#include <chrono>
#include <stop_token>
#include <utility>

#include "fmt/format.h"
#include "os/file.h"

namespace warmset {
namespace {

// How often a load's progress becomes a change of state.
constexpr std::chrono::milliseconds kProgressInterval{50};

StatusOr<wire::PlacementRecord> RecordFor(const sync::PlaceAction& action) {
  wire::PlacementRecord record;
  ASSIGN_OR_RETURN(record.component, ComponentId::FromHex(action.component_id));
  const std::optional<MemoryPool> pool = MemoryPoolFromName(action.pool);
  if (!pool) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("there is no memory pool \"{}\"", action.pool));
  }
  record.pool = *pool;
  record.bytes = action.bytes;
  return record;
}

}  // namespace

Placements::Placements(os::EventLoop& loop, Device& device, OnChange on_change)
    : loop_(loop),
      capabilities_(device.capabilities()),
      on_change_(std::move(on_change)),
      arena_(device) {}

void Placements::Place(const sync::PlaceAction& action, EntryFiles entry,
                       std::function<void(Status)> done) {
  auto record = RecordFor(action);
  if (!record.ok()) return done(record.status());
  if (placements_.contains(action.key)) {
    return done(Error(ErrorCode::kInUse, action.key + " is on the device already"));
  }
  if (record->pool == MemoryPool::kShared) {
    done(PlaceShared(action.key, std::move(entry), *record));
  } else {
    PlaceDedicated(action.key, std::move(entry), *record, std::move(done));
  }
}

Status Placements::PlaceShared(const std::string& key, EntryFiles entry,
                               wire::PlacementRecord record) {
  if (!capabilities_.shared_pool) {
    return Error(ErrorCode::kInvalidRequest, "the device cannot use an entry's own pages");
  }
  if (entry.segments.valid()) {
    return Error(ErrorCode::kInvalidRequest, "what is compressed has no pages to share");
  }
  RETURN_IF_ERROR(CheckEntry(entry));
  Placement& placement = placements_[key];
  record.ready = true;
  record.loaded_bytes = record.bytes;
  placement.record = record;
  placement.index = std::move(entry.index);
  placement.data = std::move(entry.data);
  on_change_(key, &placement.record);
  return OkStatus();
}

void Placements::PlaceDedicated(const std::string& key, EntryFiles entry,
                                wire::PlacementRecord record, std::function<void(Status)> done) {
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  Placement& placement = placements_[key];
  placement.record = record;
  placement.cancelled = cancelled;
  on_change_(key, &placement.record);

  // std::function holds only what can be copied.
  const auto files = std::make_shared<EntryFiles>(std::move(entry));
  copying_.Submit([this, key, files, cancelled, done = std::move(done)](std::stop_token stop) {
    const auto progress = [this, &key, cancelled, next = std::chrono::steady_clock::time_point()](
                              ByteCount loaded, ByteCount total) mutable {
      const auto now = std::chrono::steady_clock::now();
      if (now < next) return;
      next = now + kProgressInterval;
      loop_.Post([this, key, cancelled, loaded, total] {
        const auto found = placements_.find(key);
        if (found == placements_.end() || found->second.cancelled != cancelled) return;
        found->second.record.loaded_bytes = loaded.value();
        found->second.record.bytes = total.value();
        on_change_(key, &found->second.record);
      });
    };
    auto result = std::make_shared<LoadResult>(LoadOntoDevice(
        arena_, *files, [&] { return *cancelled || stop.stop_requested(); }, progress));
    loop_.Post([this, key, result, done] { OnLoaded(key, std::move(*result), done); });
  });
}

void Placements::OnLoaded(const std::string& key, LoadResult result,
                          const std::function<void(Status)>& done) {
  Placement& placement = placements_.at(key);
  placement.cancelled.reset();
  if (!result.status.ok()) {
    Remove(key, result.freed);
    return done(result.status);
  }
  placement.index = std::move(result.index);
  placement.memory = std::move(result.memory);
  placement.record.ready = true;
  placement.record.bytes = placement.memory->allocated_bytes();
  placement.record.loaded_bytes = placement.record.bytes;
  on_change_(key, &placement.record);
  done(OkStatus());
  // A release that came after the last slice.
  if (placement.releasing) {
    placement.releasing = false;
    (void)Release(key, nullptr);
  }
}

Status Placements::Release(const std::string& key, OnReleased done) {
  const auto found = placements_.find(key);
  if (found == placements_.end()) {
    return Error(ErrorCode::kNotLoaded, key + " is not on the device");
  }
  Placement& placement = found->second;
  if (done != nullptr) placement.on_released.push_back(std::move(done));
  if (std::exchange(placement.releasing, true)) return OkStatus();
  if (placement.cancelled != nullptr) {
    *placement.cancelled = true;  // OnLoaded() goes on
    return OkStatus();
  }
  const auto memory = std::make_shared<std::unique_ptr<DeviceMemory>>(std::move(placement.memory));
  freeing_.Submit([this, key, memory](std::stop_token) {
    const ByteCount freed = *memory == nullptr ? ByteCount() : arena_.Free(std::move(*memory));
    loop_.Post([this, key, freed] { Remove(key, freed); });
  });
  return OkStatus();
}

void Placements::Remove(const std::string& key, ByteCount freed) {
  auto node = placements_.extract(key);
  on_change_(key, nullptr);
  for (const OnReleased& released : node.mapped().on_released) released(freed);
}

StatusOr<Placements::Exported> Placements::Export(const std::string& key) const {
  const auto found = placements_.find(key);
  if (found == placements_.end() || !found->second.record.ready || found->second.releasing) {
    return Error(ErrorCode::kNotLoaded, key + " is not ready on the device");
  }
  const Placement& placement = found->second;
  Exported exported;
  ASSIGN_OR_RETURN(exported.index, os::Duplicate(placement.index.get()));
  if (placement.memory == nullptr) {
    ASSIGN_OR_RETURN(os::UniqueFd data, os::Duplicate(placement.data.get()));
    exported.chunks.push_back(std::move(data));
    exported.chunk_bytes.push_back(placement.record.bytes);
    return exported;
  }
  ASSIGN_OR_RETURN(std::vector<ChunkHandle> handles, placement.memory->Export());
  for (ChunkHandle& handle : handles) {
    exported.chunks.push_back(std::move(handle.fd));
    exported.chunk_bytes.push_back(handle.payload_bytes);
  }
  return exported;
}

uint64_t Placements::shared_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [key, placement] : placements_) {
    if (placement.record.pool == MemoryPool::kShared) bytes += placement.record.bytes;
  }
  return bytes;
}

}  // namespace warmset
