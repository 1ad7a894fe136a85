// The state protocol's messages (sync/messages.h) as payloads of frames, always
// in protobuf's binary encoding.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/status.h"
#include "device/memory_pool.h"
#include "sync/messages.h"

namespace warmset::wire {

std::string Serialize(const sync::DaemonToWorker& message);
std::string Serialize(const sync::WorkerToDaemon& message);

// kInvalidRequest for a payload that is no such message or lacks a part.
StatusOr<sync::DaemonToWorker> ParseDaemonToWorker(std::string_view payload);
StatusOr<sync::WorkerToDaemon> ParseWorkerToDaemon(std::string_view payload);

// What a worker's state holds under a placement's key.
struct PlacementRecord {
  ComponentId component;
  MemoryPool pool = MemoryPool::kDedicated;
  bool ready = false;  // else it is loading
  uint64_t bytes = 0;  // that it takes on the device
  uint64_t loaded_bytes = 0;
};
// A state value.
std::string Serialize(const PlacementRecord& record);
// kInvalidRequest for anything that Serialize() would not produce.
StatusOr<PlacementRecord> ParsePlacementRecord(std::string_view value);

}  // namespace warmset::wire
