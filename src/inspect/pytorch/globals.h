// The names that a pickle of a model may use. Everything else would make its
// loader import and run something, so there is no other list.
// Source: torch/_weights_only_unpickler.py, _get_allowed_globals().
#pragma once

#include <cstdint>
#include <string_view>

#include "tensor/dtype.h"

namespace warmset {

enum class GlobalKind : uint8_t {
  kForbidden,
  kOrderedDict,
  kCounter,
  kSet,
  kByteArray,
  kComplex,
  kEncode,       // _codecs.encode
  kSize,         // torch.Size
  kDevice,       // torch.device
  kLayout,       // torch.serialization._get_layout
  kParameter,    // torch.nn.parameter.Parameter
  kTensorType,   // torch.Tensor, torch.FloatTensor and so on
  kStorageType,  // torch.FloatStorage and so on
  kDType,
  kQScheme,
  kRebuildTensor,    // (storage, offset, size, stride), and what v2 adds
  kRebuildTensorV3,  // the dtype after the hooks
  kRebuildQTensor,
  kRebuildParameter,
  kRebuildSparse,
  kRebuildNested,
  kRebuildMeta,
  kRebuildOnDevice,  // from a CPU tensor
  kRebuildFromType,  // torch._tensor._rebuild_from_type_v2
  kRebuildOther,     // known by name, not read here
  kScriptClass,      // a class in a TorchScript archive's own code
  kScriptValue,      // torch.jit._pickle: gives its first argument back
};

struct GlobalMeaning {
  GlobalKind kind = GlobalKind::kForbidden;
  // Of storages and dtypes; kInvalid when Warmset has none for it, and for storages
  // that have no type.
  DType dtype = DType::kInvalid;
  uint8_t item_bytes = 0;  // of storages and dtypes; 0: a dtype that is not read here
  bool quantised = false;
};

// in_script: whether the pickle belongs to a TorchScript archive.
GlobalMeaning MeaningOfGlobal(std::string_view module, std::string_view name, bool in_script);

}  // namespace warmset
