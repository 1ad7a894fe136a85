// What a call of the client library returns: a value, or why there is none.
#pragma once

#include <cstdlib>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace warmset::inline client_v1 {

struct ClientError {
  // Stable, with what to do about each in docs/errors.md: "model_not_found".
  // A newer daemon may send codes that docs/errors.md of this version lacks.
  std::string code;
  // For people: what failed, on what, why, and what to do.
  std::string message;
  // What may have been meant, for model_not_found and ambiguous_name; what may
  // serve instead of a model that can't be used.
  std::vector<std::string> candidates;
};

// Either a T or a ClientError. Nothing in this library throws; asking for what
// is not there ends the program, as it is a mistake in it.
template <typename T>
class [[nodiscard]] Result {
  static_assert(!std::is_same_v<T, ClientError>);

 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(ClientError error) : content_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return content_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // REQUIRES: ok().
  T& value() & { return Get<0>(content_); }
  const T& value() const& { return Get<0>(content_); }
  T value() && { return std::move(Get<0>(content_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(*this).value(); }
  T* operator->() & { return &value(); }
  const T* operator->() const& { return &value(); }
  // A pointer into a temporary would outlive what it points to.
  T* operator->() && = delete;

  // REQUIRES: !ok().
  const ClientError& error() const& { return Get<1>(content_); }
  ClientError error() && { return std::move(Get<1>(content_)); }

 private:
  template <size_t kIndex, typename Variant>
  static auto& Get(Variant& content) {
    auto* const found = std::get_if<kIndex>(&content);
    if (found == nullptr) std::abort();
    return *found;
  }

  std::variant<T, ClientError> content_;
};

}  // namespace warmset::inline client_v1
