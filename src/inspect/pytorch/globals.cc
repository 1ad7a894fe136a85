#include "inspect/pytorch/globals.h"

#include <algorithm>
#include <array>
#include <optional>

namespace warmset {
namespace {

struct Row {
  std::string_view module;
  std::string_view name;
  GlobalKind kind;
};

// Protocol 2 writes __builtin__ for builtins.
constexpr std::array kRows = {
    Row{"collections", "OrderedDict", GlobalKind::kOrderedDict},
    Row{"collections", "Counter", GlobalKind::kCounter},
    Row{"_codecs", "encode", GlobalKind::kEncode},
    Row{"builtins", "set", GlobalKind::kSet},
    Row{"builtins", "bytearray", GlobalKind::kByteArray},
    Row{"builtins", "complex", GlobalKind::kComplex},
    Row{"__builtin__", "set", GlobalKind::kSet},
    Row{"__builtin__", "bytearray", GlobalKind::kByteArray},
    Row{"__builtin__", "complex", GlobalKind::kComplex},
    Row{"torch", "Size", GlobalKind::kSize},
    Row{"torch", "device", GlobalKind::kDevice},
    Row{"torch.serialization", "_get_layout", GlobalKind::kLayout},
    Row{"torch.nn.parameter", "Parameter", GlobalKind::kParameter},
    Row{"torch.nn", "Parameter", GlobalKind::kParameter},
    Row{"torch", "per_tensor_affine", GlobalKind::kQScheme},
    Row{"torch", "per_tensor_symmetric", GlobalKind::kQScheme},
    Row{"torch", "per_channel_affine", GlobalKind::kQScheme},
    Row{"torch", "per_channel_symmetric", GlobalKind::kQScheme},
    Row{"torch", "per_channel_affine_float_qparams", GlobalKind::kQScheme},
    Row{"torch._utils", "_rebuild_tensor", GlobalKind::kRebuildTensor},
    Row{"torch._utils", "_rebuild_tensor_v2", GlobalKind::kRebuildTensor},
    Row{"torch._utils", "_rebuild_tensor_v3", GlobalKind::kRebuildTensorV3},
    Row{"torch._utils", "_rebuild_qtensor", GlobalKind::kRebuildQTensor},
    Row{"torch._utils", "_rebuild_parameter", GlobalKind::kRebuildParameter},
    Row{"torch._utils", "_rebuild_parameter_with_state", GlobalKind::kRebuildParameter},
    Row{"torch._utils", "_rebuild_sparse_tensor", GlobalKind::kRebuildSparse},
    Row{"torch._utils", "_rebuild_sparse_csr_tensor", GlobalKind::kRebuildSparse},
    Row{"torch._utils", "_rebuild_nested_tensor", GlobalKind::kRebuildNested},
    Row{"torch._utils", "_rebuild_meta_tensor_no_storage", GlobalKind::kRebuildMeta},
    Row{"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", GlobalKind::kRebuildOnDevice},
    Row{"torch._tensor", "_rebuild_from_type_v2", GlobalKind::kRebuildFromType},
};

// Element types, by the name of the dtype and by the stem of the storage and tensor
// classes. Source: torch/storage.py, _dtype_to_storage_type_map().
struct Element {
  std::string_view dtype;
  std::string_view class_stem;  // empty: only as a dtype
  DType type;
  uint8_t bytes;
  bool quantised = false;
};
constexpr std::array kElements = {
    Element{"float64", "Double", DType::kF64, 8},
    Element{"float32", "Float", DType::kF32, 4},
    Element{"float16", "Half", DType::kF16, 2},
    Element{"bfloat16", "BFloat16", DType::kBF16, 2},
    Element{"int64", "Long", DType::kI64, 8},
    Element{"int32", "Int", DType::kI32, 4},
    Element{"int16", "Short", DType::kI16, 2},
    Element{"int8", "Char", DType::kI8, 1},
    Element{"uint8", "Byte", DType::kU8, 1},
    Element{"bool", "Bool", DType::kBool, 1},
    Element{"complex64", "ComplexFloat", DType::kC64, 8},
    Element{"complex128", "ComplexDouble", DType::kC128, 16},
    Element{"qint8", "QInt8", DType::kI8, 1, true},
    Element{"quint8", "QUInt8", DType::kU8, 1, true},
    Element{"qint32", "QInt32", DType::kI32, 4, true},
    Element{"quint4x2", "QUInt4x2", DType::kInvalid, 1, true},
    Element{"quint2x4", "QUInt2x4", DType::kInvalid, 1, true},
    Element{"uint16", "", DType::kU16, 2},
    Element{"uint32", "", DType::kU32, 4},
    Element{"uint64", "", DType::kU64, 8},
    Element{"float8_e4m3fn", "", DType::kF8E4M3, 1},
    Element{"float8_e5m2", "", DType::kF8E5M2, 1},
    Element{"float8_e8m0fnu", "", DType::kF8E8M0, 1},
    Element{"float8_e4m3fnuz", "", DType::kF8E4M3FNUZ, 1},
    Element{"float8_e5m2fnuz", "", DType::kF8E5M2FNUZ, 1},
    Element{"float4_e2m1fn_x2", "", DType::kF4, 1},  // two in an element
};

// dtypes that torch has and Warmset has not.
bool IsOtherDType(std::string_view name) {
  constexpr std::array<std::string_view, 6> kNames = {"complex32", "bits8",     "bits16",
                                                      "bits1x8",   "bits2x4", "bits4x2"};
  if (std::find(kNames.begin(), kNames.end(), name) != kNames.end()) return true;
  if (name.starts_with('u')) name.remove_prefix(1);  // int1 to int7, uint1 to uint7
  return name.size() == 4 && name.starts_with("int") && name[3] >= '1' && name[3] <= '7';
}

std::optional<GlobalMeaning> ElementType(std::string_view name) {
  for (const Element& row : kElements) {
    if (row.dtype == name) return GlobalMeaning{GlobalKind::kDType, row.type, row.bytes, row.quantised};
    if (row.class_stem.empty() || !name.starts_with(row.class_stem)) continue;
    const std::string_view rest = name.substr(row.class_stem.size());
    if (rest == "Storage") {
      return GlobalMeaning{GlobalKind::kStorageType, row.type, row.bytes, row.quantised};
    }
    if (rest == "Tensor" && !row.quantised) return GlobalMeaning{GlobalKind::kTensorType};
  }
  return std::nullopt;
}

bool IsScriptValue(std::string_view name) {
  constexpr std::array<std::string_view, 6> kNames = {
      "build_intlist",  "build_tensorlist",     "build_doublelist",
      "build_boollist", "build_tensor_from_id", "restore_type_tag"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

}  // namespace

GlobalMeaning MeaningOfGlobal(std::string_view module, std::string_view name, bool in_script) {
  for (const Row& row : kRows) {
    if (row.module == module && row.name == name) return {row.kind};
  }
  if (module == "torch") {
    if (const auto element = ElementType(name)) return *element;
    if (IsOtherDType(name)) return {GlobalKind::kDType};
    if (name == "Tensor") return {GlobalKind::kTensorType};
  }
  if (module == "torch.cuda") {
    const auto element = ElementType(name);
    if (element && element->kind != GlobalKind::kDType) return *element;
  }
  if ((module == "torch.storage" || module == "torch") && name == "UntypedStorage") {
    return {GlobalKind::kStorageType, DType::kInvalid, 1};
  }
  if (module == "torch._utils" && name.starts_with("_rebuild_") &&
      name.find('.') == std::string_view::npos) {
    return {GlobalKind::kRebuildOther};
  }
  if (in_script) {
    if (module == "__torch__" || module.starts_with("__torch__.")) {
      return {GlobalKind::kScriptClass};
    }
    if (module == "torch.jit._pickle" && IsScriptValue(name)) return {GlobalKind::kScriptValue};
  }
  return {};
}

}  // namespace warmset
