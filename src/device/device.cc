#include "device/device.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "device/host/host_device.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset {

uint64_t ChunkBytesFor(ByteCount component, const DeviceCapabilities& capabilities) {
  const uint64_t whole =
      AlignUp(std::max<uint64_t>(component.value(), 1), capabilities.chunk_granularity);
  uint64_t chunk = AlignDown(capabilities.max_chunk_bytes, capabilities.chunk_granularity);
  if (whole <= chunk) return whole;
  while ((whole - 1) / chunk >= kMaxChunks) chunk *= 2;
  return chunk;
}

std::span<const std::string_view> DeviceBackends() {
  static constexpr std::array<std::string_view, 1> kBackends = {"host"};
  return kBackends;
}

StatusOr<std::unique_ptr<Device>> OpenDevice(const DeviceId& id, ByteCount memory) {
  const std::string_view text = id.value();
  const size_t colon = text.find(':');
  unsigned index = 0;
  const char* const end = text.data() + text.size();
  const char* const digits = colon == text.npos ? end : text.data() + colon + 1;
  const auto parsed = std::from_chars(digits, end, index);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return Error(ErrorCode::kInvalidConfig,
                 fmt::format("\"{}\" is not a device; give backend:index, such as host:0", text));
  }
  const std::string_view backend = text.substr(0, colon);
  if (backend == "host") return OpenHostDevice(id, memory);
  return Error(ErrorCode::kDeviceNotFound,
               fmt::format("there is no device backend '{}'; this version has {}", backend,
                           fmt::join(DeviceBackends(), ", ")));
}

}  // namespace warmset
