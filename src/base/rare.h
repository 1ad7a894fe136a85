// A value that few objects have.
#pragma once

#include <memory>
#include <utility>

namespace warmset {

// Reads as a default value until another one is set, and takes the room of a pointer
// until then. Move-only.
template <typename T>
class Rare {
 public:
  const T& operator*() const {
    static const T kDefault{};
    return value_ == nullptr ? kDefault : *value_;
  }
  const T* operator->() const { return &**this; }

  Rare& operator=(T value) {
    value_ = value == T{} ? nullptr : std::make_unique<T>(std::move(value));
    return *this;
  }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace warmset
