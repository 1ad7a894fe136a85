// The CPU as a device: its arena is made of memfds and has a budget of its own,
// so that it can stand for a small card.
#pragma once

#include <memory>

#include "device/device.h"

namespace warmset {

// `memory` limits the arena; the pool `shared` takes nothing from it.
StatusOr<std::unique_ptr<Device>> OpenHostDevice(const DeviceId& id, ByteCount memory);

}  // namespace warmset
