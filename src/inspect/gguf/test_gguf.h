// For tests only: makes small GGUF files, good and broken ones.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace warmset {

// Builds one file: TestGguf().Set("general.architecture", "llama").Tensor("a", {32}).File().
// What is set wrong on purpose stays wrong.
class TestGguf {
 public:
  static constexpr uint32_t kF32 = 0;
  static constexpr uint32_t kQ4_0 = 2;
  static constexpr uint32_t kI8 = 24;

  TestGguf& Version(uint32_t version) {
    version_ = version;
    return *this;
  }
  // What the header says, whatever there is.
  TestGguf& Counts(int64_t tensors, int64_t pairs) {
    counts_ = {tensors, pairs};
    return *this;
  }

  template <typename T>
    requires std::is_arithmetic_v<T>
  TestGguf& Set(std::string_view key, T value) {
    return Pair(key, TypeOf<T>(), Raw(value));
  }
  TestGguf& Set(std::string_view key, std::string_view value) {
    return Pair(key, 8, String(value));
  }
  // Not to be taken for a bool.
  TestGguf& Set(std::string_view key, const char* value) {
    return Set(key, std::string_view(value));
  }
  TestGguf& Set(std::string_view key, const std::vector<std::string>& values) {
    std::string array = Raw<uint32_t>(8) + Raw<uint64_t>(values.size());
    for (const std::string& value : values) array += String(value);
    return Pair(key, 9, array);
  }
  // A value of that type, byte for byte.
  TestGguf& Pair(std::string_view key, uint32_t type, std::string_view value) {
    return RawPair(String(key) + Raw(type) + std::string(value));
  }
  TestGguf& RawPair(std::string_view bytes) {
    pairs_.append(bytes);
    ++pair_count_;
    return *this;
  }
  // Sets it, and lays out by it.
  TestGguf& Alignment(uint32_t alignment) {
    alignment_ = alignment;
    return Set("general.alignment", alignment);
  }
  // Lays out by it without saying so.
  TestGguf& SilentAlignment(uint32_t alignment) {
    alignment_ = alignment;
    return *this;
  }

  // dims: innermost first, as in the file. At the next offset, with its data.
  TestGguf& Tensor(std::string_view name, std::vector<int64_t> dims) {
    uint64_t bytes = 4;
    for (const int64_t dim : dims) bytes *= static_cast<uint64_t>(dim);
    return Tensor(name, std::move(dims), kF32, bytes);
  }
  TestGguf& Tensor(std::string_view name, std::vector<int64_t> dims, uint32_t type,
                   uint64_t bytes) {
    RawTensor(name, std::move(dims), type, data_.size());
    for (uint64_t i = 0; i < bytes; ++i) data_.push_back(static_cast<char>(i % 251));
    Pad(data_);
    return *this;
  }
  // Without data.
  TestGguf& RawTensor(std::string_view name, std::vector<int64_t> dims, uint32_t type,
                      uint64_t offset) {
    tensors_ += String(name) + Raw(static_cast<uint32_t>(dims.size()));
    for (const int64_t dim : dims) tensors_ += Raw(dim);
    tensors_ += Raw(type) + Raw(offset);
    ++tensor_count_;
    return *this;
  }

  std::string File() const {
    const auto [tensors, pairs] = counts_.value_or(std::pair(tensor_count_, pair_count_));
    std::string file = "GGUF" + Raw(version_) + Raw(tensors) + Raw(pairs) + pairs_ + tensors_;
    Pad(file);
    return file + data_;
  }

  template <typename T>
  static std::string Raw(T value) {
    std::string raw(sizeof value, '\0');
    std::memcpy(raw.data(), &value, sizeof value);
    return raw;
  }
  static std::string String(std::string_view text) {
    return Raw<uint64_t>(text.size()).append(text);
  }

 private:
  template <typename T>
  static constexpr uint32_t TypeOf() {
    if constexpr (std::is_same_v<T, bool>) return 7;
    if constexpr (std::floating_point<T>) return sizeof(T) == 4 ? 6 : 12;
    constexpr uint32_t kFirst = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 2 : sizeof(T) == 4 ? 4 : 10;
    return kFirst + (std::is_signed_v<T> ? 1 : 0);
  }
  void Pad(std::string& bytes) const {
    while (bytes.size() % alignment_ != 0) bytes.push_back('\0');
  }

  uint32_t version_ = 3;
  uint32_t alignment_ = 32;
  std::optional<std::pair<int64_t, int64_t>> counts_;
  int64_t pair_count_ = 0;
  int64_t tensor_count_ = 0;
  std::string pairs_;
  std::string tensors_;
  std::string data_;
};

}  // namespace warmset
