#include "inspect/compatibility/device_check.h"

#include <algorithm>
#include <map>
#include <string>

#include "base/units.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset {
namespace {

// Of the device's memory, for activations, workspaces and the runtime itself.
constexpr uint64_t kLeftPercent = 10;

std::string Size(uint64_t bytes) { return FormatSize(ByteCount(bytes)); }

bool IsFloat(DType dtype) {
  switch (dtype) {
    case DType::kF16:
    case DType::kBF16:
    case DType::kF32:
    case DType::kF64:
    case DType::kC64:
    case DType::kC128:
    case DType::kF8E4M3:
    case DType::kF8E5M2:
    case DType::kF8E8M0:
    case DType::kF8E4M3FNUZ:
    case DType::kF8E5M2FNUZ:
    case DType::kF6E2M3:
    case DType::kF6E3M2:
    case DType::kF4:
      return true;
    default:
      return false;
  }
}

std::map<DType, uint64_t> BytesByDType(const Manifest& manifest) {
  std::map<DType, uint64_t> all;
  for (const ComponentManifest& component : manifest.components) {
    for (const auto& [name, bytes] : component.dtype_bytes) {
      if (const auto dtype = DTypeFromName(name)) all[*dtype] += bytes;
    }
  }
  return all;
}

void CheckDTypes(const Manifest& manifest, const DeviceProfile& device,
                 std::vector<Finding>& findings) {
  std::vector<std::string_view> quantized;
  for (const auto& [dtype, bytes] : BytesByDType(manifest)) {
    if (IsQuantized(dtype)) {
      quantized.push_back(DTypeName(dtype));
    } else if (IsFloat(dtype) && !device.floats.Contains(dtype)) {
      findings.push_back(
          {.path = "",
           .verdict = Verdict::kUnsupported,
           .category = FindingCategory::kDtypeSupport,
           .message = fmt::format("{} of its tensors are {}, which {} ({}) does not compute with; "
                                  "take a copy in F16 or F32, or convert them when loading",
                                  Size(bytes), DTypeName(dtype), device.name, device.title)});
    }
  }
  if (quantized.empty()) return;
  findings.push_back(
      {.path = "",
       .verdict = Verdict::kOk,
       .category = FindingCategory::kDtypeSupport,
       .message = fmt::format("it has quantised blocks ({}), which a runtime with ggml's kernels, "
                              "such as llama.cpp, has to decode",
                              fmt::join(quantized, ", "))});
}

// "unet" and not "unet.fp16".
bool IsLoadedByDefault(const ComponentManifest& component) {
  return component.name.find('.') == std::string::npos;
}

void CheckMemory(const Manifest& manifest, const DeviceProfile& device,
                 const std::set<ComponentId>& placed, std::vector<Finding>& findings) {
  const auto add = [&](Verdict verdict, std::string message) {
    findings.push_back({.path = "",
                        .verdict = verdict,
                        .category = FindingCategory::kDeviceMemory,
                        .message = std::move(message)});
  };
  uint64_t all = 0;
  const ComponentManifest* largest = nullptr;
  for (const ComponentManifest& component : manifest.components) {
    if (!IsLoadedByDefault(component) || placed.contains(component.id)) continue;
    all += component.tensor_bytes;
    if (largest == nullptr || component.tensor_bytes > largest->tensor_bytes) largest = &component;
  }
  if (largest == nullptr) return;
  const uint64_t memory = device.memory->value();
  const uint64_t left = memory / 100 * kLeftPercent;
  const auto sizes =
      FormatSizes({ByteCount(memory), ByteCount(largest->tensor_bytes), ByteCount(all)});
  if (largest->tensor_bytes > memory) {
    add(Verdict::kUnsupported,
        fmt::format("component '{}' takes {}, and {} has {}; take a copy of smaller precision or a "
                    "quantised one, or a larger device",
                    largest->name, sizes[1], device.name, sizes[0]));
  } else if (all > memory) {
    add(Verdict::kOk,
        fmt::format("its components take {} together, and {} has {}; load them one at a time (the "
                    "largest, '{}', takes {}), or take a copy of smaller precision",
                    sizes[2], device.name, sizes[0], largest->name, sizes[1]));
  } else if (all > memory - left) {
    add(Verdict::kOk, fmt::format("its components take {} of the {} that {} has, which leaves "
                                  "little for what is computed; unload each after its use, or "
                                  "take a copy of smaller precision",
                                  sizes[2], sizes[0], device.name));
  }
}

}  // namespace

std::vector<Finding> CheckDevice(const Manifest& manifest, const DeviceProfile& device,
                                 const std::set<ComponentId>& placed) {
  std::vector<Finding> findings;
  CheckDTypes(manifest, device, findings);
  if (device.memory) CheckMemory(manifest, device, placed, findings);
  return findings;
}

}  // namespace warmset
