// Whether a model can be used on a device, told by its manifest alone.
#pragma once

#include <set>
#include <vector>

#include "base/digest.h"
#include "inspect/compatibility/device_profile.h"
#include "inspect/manifest.h"

namespace warmset {

// What stands against using the model on the device, or is worth knowing. Findings
// of the categories dtype_support and device_memory; pure.
//
// Unsupported: a floating-point type that the device does not compute with, since
// tensors are handed out as they lie in their files; a component that is larger
// than the device's memory. Warnings: components that fit one at a time only, or
// leave little for what is computed; quantised blocks, which a runtime has to
// decode. Variants of a component ("unet.fp16") do not count for memory beside the
// one that is loaded by default, nor do those that are on the device already.
std::vector<Finding> CheckDevice(const Manifest& manifest, const DeviceProfile& device,
                                 const std::set<ComponentId>& placed = {});

}  // namespace warmset
