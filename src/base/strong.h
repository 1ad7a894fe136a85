// Types that can't be mistaken for each other: explicit construction, no mixed
// arithmetic.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace warmset {

// A value of type Rep that only mixes with its own Tag.
template <typename Tag, typename Rep>
class Strong {
 public:
  Strong() = default;
  explicit Strong(Rep value) : value_(std::move(value)) {}

  const Rep& value() const { return value_; }
  friend auto operator<=>(const Strong&, const Strong&) = default;

 private:
  Rep value_{};
};

// An amount of memory or file content, in bytes.
class ByteCount {
 public:
  constexpr ByteCount() = default;
  constexpr explicit ByteCount(uint64_t bytes) : bytes_(bytes) {}

  constexpr uint64_t value() const { return bytes_; }
  friend constexpr auto operator<=>(const ByteCount&, const ByteCount&) = default;
  friend constexpr ByteCount operator+(ByteCount a, ByteCount b) {
    return ByteCount(a.bytes_ + b.bytes_);
  }
  // REQUIRES: b <= a.
  friend constexpr ByteCount operator-(ByteCount a, ByteCount b) {
    return ByteCount(a.bytes_ - b.bytes_);
  }
  constexpr ByteCount& operator+=(ByteCount other) {
    bytes_ += other.bytes_;
    return *this;
  }
  constexpr ByteCount& operator-=(ByteCount other) {
    bytes_ -= other.bytes_;
    return *this;
  }

 private:
  uint64_t bytes_ = 0;
};

using Generation = Strong<struct GenerationTag, uint64_t>;
// "host:0", "cuda:1": backend and index.
using DeviceId = Strong<struct DeviceIdTag, std::string>;

inline constexpr uint64_t kKiB = 1024;
inline constexpr uint64_t kMiB = 1024 * kKiB;
inline constexpr uint64_t kGiB = 1024 * kMiB;

// The smallest multiple of a power of two that is at least value.
// REQUIRES: the result fits in 64 bits.
constexpr uint64_t AlignUp(uint64_t value, uint64_t power_of_two) {
  return (value + power_of_two - 1) & ~(power_of_two - 1);
}
constexpr uint64_t AlignDown(uint64_t value, uint64_t power_of_two) {
  return value & ~(power_of_two - 1);
}

}  // namespace warmset

template <typename Tag, typename Rep>
struct std::hash<warmset::Strong<Tag, Rep>> {
  size_t operator()(const warmset::Strong<Tag, Rep>& strong) const {
    return std::hash<Rep>{}(strong.value());
  }
};
