// Names of tensors made comparable: a number between dots stands for any number, and
// what a quantisation puts beside the weights does not count.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "absl/container/flat_hash_map.h"

namespace warmset {

// Equal for names of one rank that differ only in numbers between dots.
uint64_t HashOfName(std::string_view name, size_t rank);
// Of a layer, without ".weight"; '.' and '_' are alike.
uint64_t HashOfLayer(std::string_view name);

// The distinct names of a group of tensors. A file may have a million: those above
// kMaxNames are only counted.
class NameSet {
 public:
  struct Name {
    std::string_view text;            // of the first tensor with that name
    std::span<const uint64_t> shape;  // of that tensor
    uint64_t weight = 0;   // HashOfName() of the weight that it is, under another word or not
    bool packing = false;  // a quantisation's own, such as ".scales"
    double elements = 0;   // of all tensors with that name
  };
  static constexpr size_t kMaxNames = 4096;

  // What is given must outlive this.
  void Add(std::string_view name, std::span<const uint64_t> shape);

  // By HashOfName().
  const absl::flat_hash_map<uint64_t, Name>& names() const { return names_; }
  uint64_t left_out() const { return left_out_; }

  // The first word of all names with its dot, when it is the same one; else nothing.
  std::string_view CommonWord() const;
  NameSet Without(std::string_view common_word) const;

 private:
  void AddElements(std::string_view name, std::span<const uint64_t> shape, double elements);

  absl::flat_hash_map<uint64_t, Name> names_;
  uint64_t left_out_ = 0;
};

}  // namespace warmset
