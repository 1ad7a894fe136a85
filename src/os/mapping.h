#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"

namespace warmset::os {

// Owns a range of mapped memory and unmaps it. Move-only; concurrent reads of
// the memory are safe, moving the object is not.
class Mapping {
 public:
  enum class Kind {
    kSharedReadWrite,   // the owner's view of a memfd before it is sealed
    kSharedReadOnly,    // for device copies and for comparing
    kPrivateReadWrite,  // copy-on-write: what clients get
  };

  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  // Maps the first `bytes` of fd at an address that is a multiple of 2 MiB, so
  // that huge pages map as such. An empty mapping for bytes == 0.
  static StatusOr<Mapping> Create(int fd, uint64_t bytes, Kind kind);

  std::span<std::byte> span() const { return {data_, size_}; }
  std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }

 private:
  Mapping(std::byte* data, uint64_t size) : data_(data), size_(size) {}

  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace warmset::os
