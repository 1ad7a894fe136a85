// A text that many objects have in common.
#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "fmt/format.h"

namespace warmset {

// An immutable text; copies share its bytes. Takes the place of a std::string in
// objects of which there may be a million, where a few texts occur again and again: it
// takes the room of a pointer. As thread-safe as a std::shared_ptr.
class SharedText {
 public:
  SharedText() = default;
  SharedText(std::string text)  // NOLINT(google-explicit-constructor): is a text
      : node_(text.empty() ? nullptr : new Node{{1}, std::move(text)}) {}
  SharedText(std::string_view text) : SharedText(std::string(text)) {}  // NOLINT
  SharedText(const char* text) : SharedText(std::string(text)) {}       // NOLINT
  SharedText(const SharedText& other) : node_(other.node_) {
    if (node_ != nullptr) node_->users.fetch_add(1, std::memory_order_relaxed);
  }
  SharedText(SharedText&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  SharedText& operator=(SharedText other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~SharedText() {
    if (node_ != nullptr && node_->users.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete node_;
    }
  }

  const std::string& str() const {
    static const std::string kEmpty;
    return node_ == nullptr ? kEmpty : node_->text;
  }
  operator const std::string&() const { return str(); }  // NOLINT
  operator std::string_view() const { return str(); }    // NOLINT
  bool empty() const { return node_ == nullptr; }
  size_t size() const { return str().size(); }
  bool starts_with(std::string_view start) const { return str().starts_with(start); }
  bool ends_with(std::string_view end) const { return str().ends_with(end); }
  size_t find(char c) const { return str().find(c); }
  size_t find(std::string_view part) const { return str().find(part); }
  std::string substr(size_t from, size_t count = std::string::npos) const {
    return str().substr(from, count);
  }

  friend bool operator==(const SharedText& a, const SharedText& b) { return a.str() == b.str(); }
  friend bool operator==(const SharedText& a, std::string_view b) { return a.str() == b; }
  friend bool operator==(const SharedText& a, const std::string& b) { return a.str() == b; }
  friend bool operator==(const SharedText& a, const char* b) { return a.str() == b; }
  friend auto operator<=>(const SharedText& a, const SharedText& b) { return a.str() <=> b.str(); }
  friend std::string operator+(const SharedText& a, std::string_view b) {
    return std::string(a.str()).append(b);
  }
  friend std::string operator+(std::string_view a, const SharedText& b) {
    return std::string(a).append(b.str());
  }
  friend std::ostream& operator<<(std::ostream& out, const SharedText& text) {
    return out << text.str();
  }

 private:
  struct Node {
    std::atomic<uint32_t> users;
    const std::string text;
  };

  Node* node_ = nullptr;  // nullptr: empty
};

// Gives equal texts the same bytes. Thread-safe.
class TextPool {
 public:
  SharedText Get(std::string_view text);

 private:
  absl::Mutex mutex_;
  std::unordered_map<std::string_view, SharedText> texts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace warmset

template <>
struct fmt::formatter<warmset::SharedText> : fmt::formatter<std::string_view> {
  template <typename Context>
  auto format(const warmset::SharedText& text, Context& context) const {
    return fmt::formatter<std::string_view>::format(text.str(), context);
  }
};
