// What rules ask of tensors, as text:
//
//   conv_in.weight              a tensor of that name (a pattern, see name_pattern.h)
//   conv_in.weight[1]=4|8       one whose dim 1 is 4 or 8; [-1] is the last dim
//   conv_in.weight[rank]=4      one with four dims
//   tensors<10                  fewer tensors than that; tensors=4
//   @general.architecture=flux  the metadata's value, a pattern without regard to
//                               case; @name is the name of the file
//   !conv_in.weight             the opposite of any of these
//
// A condition is some of these, with spaces between; all must hold.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "inspect/identify/name_pattern.h"
#include "tensor/tensor_table.h"

namespace warmset {

// Names longer than that are no model's; they match nothing, so that matching
// takes no longer than reading.
inline constexpr size_t kMaxMatchedName = 256;

// A term of conditions, without its '!': by its place in a ConditionSet.
using TermId = uint32_t;

struct Condition {
  struct Part {
    TermId term;
    bool negated;
  };
  std::vector<Part> parts;
};

// What is asked beside tensors. Everything belongs to the caller.
struct FileFacts {
  const std::map<std::string, std::string>* metadata = nullptr;
  std::string_view file_name;
};

// Which terms a group of tensors fulfils. Tensors that it has seen must outlive it.
class TermHits {
 public:
  explicit TermHits(size_t terms) : first_(terms) {}
  uint64_t tensors = 0;  // of the group

  bool Has(TermId term) const { return !first_[term].name.empty(); }
  void Set(TermId term, const TensorView& tensor) { first_[term] = tensor; }
  const TensorView& First(TermId term) const { return first_[term]; }

 private:
  std::vector<TensorView> first_;  // by term; without a name: none so far
};

// The terms of many conditions, each looked for once. Const methods are thread-safe.
class ConditionSet {
 public:
  // kInvalidRequest, with the term, for one that is not written as above.
  StatusOr<Condition> Parse(std::string_view text);

  TermHits NoHits() const { return TermHits(terms_.size()); }
  // Notes the terms that a tensor fulfils if it has that name and shape; they need
  // not be those that the file gives it.
  void Look(std::string_view name, std::span<const uint64_t> shape, const TensorView& tensor,
            TermHits& hits) const;

  // Whether all parts hold for any of the groups together; adds what fulfils them.
  bool Holds(const Condition& condition, std::span<const TermHits* const> groups,
             const FileFacts& facts, std::vector<std::string>& evidence) const;

 private:
  enum class Asks : uint8_t { kTensor, kDim, kRank, kFewerTensors, kTensors, kMetadata };
  struct Term {
    Asks asks = Asks::kTensor;
    int dim = 0;
    std::vector<uint64_t> values;
    std::string key;      // of metadata
    std::string pattern;  // of its value, in lower case
  };

  StatusOr<Term> ParseTerm(std::string_view text);
  static bool Fits(const Term& term, std::span<const uint64_t> shape);
  bool TermHolds(TermId id, std::span<const TermHits* const> groups, const FileFacts& facts,
                 std::string& evidence) const;

  std::vector<Term> terms_;
  std::map<std::string, TermId, std::less<>> ids_;  // by text
  PatternSet names_;
};

// "conv_in.weight [320, 4, 3, 3]".
std::string TensorText(const TensorView& tensor);

}  // namespace warmset
