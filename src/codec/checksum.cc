#include "codec/checksum.h"

#include <cstring>

#include "base/digest.h"

namespace warmset::codec {

uint64_t BlockChecksum(std::span<const std::byte> data) {
  const auto& set = SelectedInstructionSet();
  const Kernels& kernels = KernelsFor(set.ok() ? *set : InstructionSet::kScalar);
  ChecksumState state;
  kernels.checksum(reinterpret_cast<const uint8_t*>(data.data()), data.size(), state);
  return FinishChecksum(state);
}

uint64_t FinishChecksum(const ChecksumState& sums) {
  const auto digest = Xxh3(std::as_bytes(std::span(&sums, 1)));
  uint64_t checksum = 0;
  std::memcpy(&checksum, digest.data(), sizeof checksum);
  return checksum;
}

}  // namespace warmset::codec
