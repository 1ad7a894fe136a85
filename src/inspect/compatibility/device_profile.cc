#include "inspect/compatibility/device_profile.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <span>

#include "base/units.h"
#include "fmt/format.h"

namespace warmset {
namespace {

constexpr DTypeSet kWide = {DType::kF32, DType::kC64};
constexpr DTypeSet kDouble = {DType::kF64, DType::kC128};
constexpr DTypeSet kHalf = {DType::kF16};
constexpr DTypeSet kBrain = {DType::kBF16};
constexpr DTypeSet kEight = {DType::kF8E4M3, DType::kF8E5M2};
constexpr DTypeSet kEightFnuz = {DType::kF8E4M3FNUZ, DType::kF8E5M2FNUZ};
constexpr DTypeSet kMicroscaling = {DType::kF8E8M0, DType::kF6E2M3, DType::kF6E3M2, DType::kF4};

constexpr DTypeSet kClassic = kWide.With(kDouble);
constexpr DTypeSet kWithHalf = kClassic.With(kHalf);
constexpr DTypeSet kWithBrain = kWithHalf.With(kBrain);
constexpr DTypeSet kWithEight = kWithBrain.With(kEight);
constexpr DTypeSet kWithMicroscaling = kWithEight.With(kMicroscaling);

// Sources: NVIDIA, "CUDA C++ Programming Guide", arithmetic instructions and tensor
// cores by compute capability, and Transformer Engine's support matrix,
// https://nvidia.github.io/TransformerEngine/support_matrix.html
struct Capability {
  unsigned from;  // ten times the compute capability
  DTypeSet floats;
};
constexpr std::array<Capability, 5> kCapabilities = {{{100, kWithMicroscaling},
                                                      {89, kWithEight},
                                                      {80, kWithBrain},
                                                      {53, kWithHalf},
                                                      {30, kClassic}}};

// Source: AMD, "Data types and precision support",
// https://rocm.docs.amd.com/en/latest/reference/precision-support.html
// By the start of the target's name; the longest that fits.
struct Target {
  std::string_view start;
  DTypeSet floats;
};
constexpr std::array<Target, 11> kAmdTargets = {{
    {"gfx80", kWithHalf},  // GCN 3
    {"gfx90", kWithHalf},  // Vega
    {"gfx908", kWithBrain},  // CDNA
    {"gfx90a", kWithBrain},  // CDNA 2
    {"gfx94", kWithBrain.With(kEightFnuz)},  // CDNA 3
    {"gfx95", kWithMicroscaling},  // CDNA 4
    {"gfx101", kWithHalf},  // RDNA
    {"gfx103", kWithHalf},  // RDNA 2
    {"gfx110", kWithBrain},  // RDNA 3
    {"gfx115", kWithBrain},  // RDNA 3.5
    {"gfx120", kWithEight},  // RDNA 4
}};

// Source: Intel, "oneAPI GPU Optimization Guide", Xe architecture (XMX engines).
constexpr std::array<Target, 3> kIntelTargets = {{
    {"xe-hpg", kWide.With(kHalf).With(kBrain)},  // Arc A: doubles are emulated
    {"xe2", kWithBrain},
    {"xe-hpc", kWithBrain},
}};

// Products by the names that people use. Sources: the vendors' lists, NVIDIA's at
// https://developer.nvidia.com/cuda-gpus. Memory only where every board has it.
struct Product {
  std::string_view vendor;
  std::string_view name;
  std::string_view target;
  unsigned memory_gib;  // 0: there are several
};
constexpr std::array<Product, 32> kProducts = {{
    {"nvidia", "p100", "6.0", 0},      {"nvidia", "v100", "7.0", 0},
    {"nvidia", "t4", "7.5", 16},       {"nvidia", "rtx2080ti", "7.5", 11},
    {"nvidia", "a100", "8.0", 0},      {"nvidia", "a10", "8.6", 24},
    {"nvidia", "a40", "8.6", 48},      {"nvidia", "rtx3060", "8.6", 0},
    {"nvidia", "rtx3080", "8.6", 0},   {"nvidia", "rtx3090", "8.6", 24},
    {"nvidia", "l4", "8.9", 24},       {"nvidia", "l40s", "8.9", 48},
    {"nvidia", "rtx4060", "8.9", 8},   {"nvidia", "rtx4070", "8.9", 12},
    {"nvidia", "rtx4080", "8.9", 16},  {"nvidia", "rtx4090", "8.9", 24},
    {"nvidia", "h100", "9.0", 0},      {"nvidia", "h200", "9.0", 141},
    {"nvidia", "b200", "10.0", 0},     {"nvidia", "rtx5080", "12.0", 16},
    {"nvidia", "rtx5090", "12.0", 32}, {"amd", "mi100", "gfx908", 32},
    {"amd", "mi250x", "gfx90a", 128},  {"amd", "mi300x", "gfx942", 192},
    {"amd", "mi350x", "gfx950", 288},  {"amd", "rx6900xt", "gfx1030", 16},
    {"amd", "rx7900xtx", "gfx1100", 24}, {"amd", "rx9070xt", "gfx1201", 16},
    {"intel", "arc", "xe-hpg", 0},     {"intel", "a770", "xe-hpg", 0},
    {"intel", "b580", "xe2", 12},      {"intel", "max1550", "xe-hpc", 128},
}};

Status Unknown(std::string_view text) {
  std::string products;
  for (const Product& product : kProducts) {
    products += fmt::format(" {}:{}", product.vendor, product.name);
  }
  return Error(ErrorCode::kInvalidRequest,
               fmt::format("'{}' is no device that is known here; give cpu, nvidia:8.6 (a compute "
                           "capability), amd:gfx1100 (a target) or one of:{}; ,memory=24GiB after "
                           "it says how much memory it has",
                           text, products));
}

std::optional<DTypeSet> ByStart(std::span<const Target> targets, std::string_view name) {
  const Target* best = nullptr;
  for (const Target& target : targets) {
    if (name.starts_with(target.start) &&
        (best == nullptr || target.start.size() > best->start.size())) {
      best = &target;
    }
  }
  return best == nullptr ? std::nullopt : std::optional(best->floats);
}

bool IsNumber(std::string_view text, unsigned& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// Ten times the capability in "8.6", "sm_86" or "sm86".
std::optional<unsigned> CapabilityOf(std::string_view text) {
  unsigned number = 0;
  for (const std::string_view prefix : {"sm_", "sm"}) {
    if (!text.starts_with(prefix)) continue;
    return IsNumber(text.substr(prefix.size()), number) ? std::optional(number) : std::nullopt;
  }
  const size_t dot = text.find('.');
  unsigned minor = 0;
  if (dot == std::string_view::npos || !IsNumber(text.substr(0, dot), number) ||
      !IsNumber(text.substr(dot + 1), minor) || number > 99 || minor > 9) {
    return std::nullopt;
  }
  return number * 10 + minor;
}

std::optional<DTypeSet> FloatsOf(std::string_view vendor, std::string_view target) {
  if (vendor == "amd") return ByStart(kAmdTargets, target);
  if (vendor == "intel") return ByStart(kIntelTargets, target);
  const auto capability = CapabilityOf(target);
  if (!capability) return std::nullopt;
  for (const Capability& row : kCapabilities) {
    if (*capability >= row.from) return row.floats;
  }
  return std::nullopt;
}

// Fills in the vendor's device that `model` means; false when there is none.
bool DescribeGpu(std::string_view vendor, std::string_view model, DeviceProfile& profile) {
  std::string_view target = model;
  const auto product =
      std::find_if(kProducts.begin(), kProducts.end(), [&](const Product& row) {
        return row.vendor == vendor && row.name == model;
      });
  if (product != kProducts.end()) {
    target = product->target;
    if (product->memory_gib != 0) profile.memory = ByteCount(product->memory_gib * kGiB);
  }
  const auto floats = FloatsOf(vendor, target);
  if (!floats) return false;
  profile.floats = *floats;
  if (vendor == "nvidia") {
    const unsigned capability = *CapabilityOf(target);
    profile.title =
        fmt::format("NVIDIA, compute capability {}.{}", capability / 10, capability % 10);
  } else {
    profile.title = fmt::format("{}, {}", vendor == "amd" ? "AMD" : "Intel", target);
  }
  return true;
}

}  // namespace

StatusOr<DeviceProfile> ParseDeviceProfile(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::string_view whole = lower;
  const std::string_view name = whole.substr(0, whole.find(','));
  const std::string_view vendor = name.substr(0, name.find(':'));
  const std::string_view model =
      vendor.size() < name.size() ? name.substr(vendor.size() + 1) : std::string_view();

  DeviceProfile profile;
  profile.name = std::string(name);
  unsigned number = 0;
  if ((name == "cpu") || (vendor == "host" && IsNumber(model, number))) {
    profile.title = "the processor";
    // What it has no instructions for, libraries compute by way of F32.
    profile.floats = kWithBrain;
  } else if ((vendor != "nvidia" && vendor != "amd" && vendor != "intel") ||
             !DescribeGpu(vendor, model, profile)) {
    return Unknown(text);
  }
  if (name.size() == whole.size()) return profile;
  constexpr std::string_view kMemory = ",memory=";
  const std::string_view option = whole.substr(name.size());
  if (!option.starts_with(kMemory)) return Unknown(text);
  const auto memory = ParseSize(option.substr(kMemory.size()), profile.memory.value_or(ByteCount(0)));
  if (!memory.ok()) return Error(ErrorCode::kInvalidRequest, Message(memory.status()));
  profile.memory = *memory;
  return profile;
}

}  // namespace warmset
