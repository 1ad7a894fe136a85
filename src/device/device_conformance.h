// What every Device must do. Instantiate DeviceConformance in a backend's test
// with a function that opens a device of the given budget.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "device/device.h"

namespace warmset {

using DeviceFactory = std::function<StatusOr<std::unique_ptr<Device>>(ByteCount memory)>;

class DeviceConformance : public ::testing::TestWithParam<DeviceFactory> {
 protected:
  std::unique_ptr<Device> Open(ByteCount memory);
};

}  // namespace warmset
