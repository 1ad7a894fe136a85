#include "warmset/model.h"

#include <optional>

#include "client/attached_memory.h"
#include "client/errors.h"

namespace warmset::inline client_v1 {

using client_internal::MakeError;
using client_internal::TensorRecord;

std::string_view Tensor::name() const& { return record_->name; }
DType Tensor::dtype() const { return record_->dtype; }
std::span<const uint64_t> Tensor::shape() const& { return record_->shape; }

std::span<const std::byte> Tensor::data() const& {
  return {memory_->data() + record_->offset, record_->bytes};
}

std::span<std::byte> Tensor::writable_data() const& {
  if (!memory_->writable()) return {};
  return {memory_->data() + record_->offset, record_->bytes};
}

std::string_view Component::name() const& { return memory_->component(); }
std::string_view Component::type() const& { return memory_->type(); }
uint64_t Component::bytes() const { return memory_->bytes(); }
const std::map<std::string, std::string>& Component::metadata() const& {
  return memory_->table().metadata();
}

size_t Component::tensor_count() const { return memory_->table().records().size(); }

Tensor Component::tensor(size_t index) const {
  return Tensor(memory_, &memory_->table().records()[index]);
}

Result<Tensor> Component::tensor(std::string_view name) const {
  if (auto error = memory_->Withdrawn()) return *std::move(error);
  if (const TensorRecord* record = memory_->table().Find(name)) return Tensor(memory_, record);
  return MakeError("tensor_not_found", "component " + memory_->component() +
                                           " has no tensor named " + std::string(name));
}

Result<Component> Model::component(std::string_view name) const {
  for (const Component& component : components_) {
    if (component.name() == name) return component;
  }
  ClientError error =
      MakeError("component_not_found",
                name_ + " was attached without a component named " + std::string(name));
  for (const Component& component : components_) error.candidates.emplace_back(component.name());
  return error;
}

Result<Tensor> Model::tensor(std::string_view name) const {
  std::optional<Tensor> found;
  std::vector<std::string> having;
  for (const Component& component : components_) {
    if (auto error = component.memory_->Withdrawn()) return *std::move(error);
    if (const TensorRecord* record = component.memory_->table().Find(name)) {
      found = Tensor(component.memory_, record);
      having.emplace_back(component.name());
    }
  }
  if (having.size() == 1) return *std::move(found);
  if (having.empty()) {
    return MakeError("tensor_not_found", name_ + " has no tensor named " + std::string(name));
  }
  ClientError error =
      MakeError("ambiguous_name", "several components of " + name_ + " have a tensor named " +
                                      std::string(name) + "; ask one of them");
  error.candidates = std::move(having);
  return error;
}

}  // namespace warmset::inline client_v1
