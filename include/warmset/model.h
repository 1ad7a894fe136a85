// Attached models: tensors in memory that the daemon and all its clients share.
//
// Thread-safety: const methods may be called from several threads at once, and
// handles may be destroyed on any thread. Writing to a tensor's memory is up to
// the program, as with any memory.
//
// Lifetime: the memory of a component stays mapped, with the right bytes, while
// any Model, Component or Tensor of it lives: also after the Client is gone,
// after the daemon has died, and in a forked child. Views (spans and
// string_views) are valid as long as the handle that they were asked of; asking
// a temporary for one does not compile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "warmset/dtype.h"
#include "warmset/result.h"

namespace warmset::inline client_v1 {

namespace client_internal {
class AttachedMemory;
struct TensorRecord;
}  // namespace client_internal

// One tensor: elements in row-major order, without gaps. Copies are cheap and
// share the memory.
class Tensor {
 public:
  std::string_view name() const&;
  DType dtype() const;
  // Empty for a scalar.
  std::span<const uint64_t> shape() const&;
  // Aligned as the file has it, which may be less than the element's size.
  std::span<const std::byte> data() const&;
  // The same memory, copy-on-write: what is written is seen by this process
  // alone. Empty when the model was attached with writable = false.
  std::span<std::byte> writable_data() const&;

  std::string_view name() && = delete;
  std::span<const uint64_t> shape() && = delete;
  std::span<const std::byte> data() && = delete;
  std::span<std::byte> writable_data() && = delete;

 private:
  friend class Component;
  friend class Model;
  Tensor(std::shared_ptr<const client_internal::AttachedMemory> memory,
         const client_internal::TensorRecord* record)
      : memory_(std::move(memory)), record_(record) {}

  std::shared_ptr<const client_internal::AttachedMemory> memory_;
  const client_internal::TensorRecord* record_;  // inside memory_
};

// A part of a model: "unet", "vae", ...; "model" for the only one. Copies are
// cheap and share the memory.
class Component {
 public:
  std::string_view name() const&;
  // What it is: "unet", "text_encoder", ...
  std::string_view type() const&;
  // Of the memory that holds it.
  uint64_t bytes() const;
  // What the file says about itself (`__metadata__`).
  const std::map<std::string, std::string>& metadata() const&;

  // In the file's order.
  size_t tensor_count() const;
  // REQUIRES: index < tensor_count().
  Tensor tensor(size_t index) const;
  // "tensor_not_found" when there is none; "corrupted_model" once the daemon has found
  // that the model's file is not what its name claims.
  Result<Tensor> tensor(std::string_view name) const;

  std::string_view name() && = delete;
  std::string_view type() && = delete;
  const std::map<std::string, std::string>& metadata() && = delete;

 private:
  friend class Model;
  friend class Client;
  explicit Component(std::shared_ptr<const client_internal::AttachedMemory> memory)
      : memory_(std::move(memory)) {}

  std::shared_ptr<const client_internal::AttachedMemory> memory_;
};

// The components that one Attach() brought. While it or one of its tensors
// lives and the session is open, the daemon keeps the model for this program
// (the lease).
class Model {
 public:
  Model(Model&&) = default;
  Model& operator=(Model&&) = default;

  // As the daemon calls it, which may be longer than what was asked for.
  std::string_view name() const& { return name_; }
  std::span<const Component> components() const& { return components_; }
  // "component_not_found" when it was not attached.
  Result<Component> component(std::string_view name) const;
  // From any component: "tensor_not_found" when none has it, "ambiguous_name"
  // when several do, then ask the component; "corrupted_model" as above.
  Result<Tensor> tensor(std::string_view name) const;

  std::string_view name() && = delete;
  std::span<const Component> components() && = delete;

 private:
  friend class Client;
  Model(std::string name, std::vector<Component> components)
      : name_(std::move(name)), components_(std::move(components)) {}

  std::string name_;
  std::vector<Component> components_;
};

}  // namespace warmset::inline client_v1
