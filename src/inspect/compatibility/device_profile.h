// Devices as data: what one computes with, and how much memory it has.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/strong.h"
#include "tensor/dtype.h"

namespace warmset {

// A set of element types.
class DTypeSet {
 public:
  constexpr DTypeSet() = default;
  constexpr DTypeSet(std::initializer_list<DType> dtypes) {
    for (const DType dtype : dtypes) bits_ |= BitOf(dtype);
  }
  constexpr bool Contains(DType dtype) const { return (bits_ & BitOf(dtype)) != 0; }
  constexpr DTypeSet With(DTypeSet other) const {
    other.bits_ |= bits_;
    return other;
  }

 private:
  static_assert(internal::kDTypeRows.size() <= 64);
  static constexpr uint64_t BitOf(DType dtype) { return uint64_t{1} << static_cast<unsigned>(dtype); }

  uint64_t bits_ = 0;
};

struct DeviceProfile {
  std::string name;      // as it was asked for: "nvidia:8.6", "cpu"
  std::string title;     // for people: "NVIDIA, compute capability 8.6"
  DTypeSet floats;       // floating-point types that its instructions compute with
  // Without it memory is not checked.
  std::optional<ByteCount> memory;
};

// From "VENDOR[:MODEL][,memory=SIZE]":
//   cpu, host:N                the processor; memory is not known
//   nvidia:8.6, nvidia:sm_86   a compute capability
//   nvidia:rtx4090             a product that everybody names
//   amd:gfx942, amd:mi300x     an LLVM target or a product
//   intel:arc, intel:b580, intel:max1550
// Case does not matter. kInvalidRequest says what is known.
StatusOr<DeviceProfile> ParseDeviceProfile(std::string_view text);

}  // namespace warmset
