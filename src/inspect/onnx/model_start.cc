#include "inspect/onnx/model_start.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>

#include "base/strong.h"
#include "inspect/onnx/wire.h"

namespace warmset::onnx {
namespace {

// What ModelProto's fields look like, as far as a file's start shows them.
class StartOfModel {
 public:
  explicit StartOfModel(const FileStart& start) : start_(start) {}

  bool Fits() {
    constexpr uint64_t kIrVersionTag = 1 << 3;
    constexpr uint64_t kMaxPlausibleIrVersion = 1000;
    if (Varint() != kIrVersionTag) return false;
    const auto ir_version = Varint();
    if (!ir_version || *ir_version == 0 || *ir_version > kMaxPlausibleIrVersion) return false;
    while (const auto tag = Varint()) {
      const uint64_t number = *tag >> 3;
      const auto type = static_cast<WireType>(*tag & 7);
      if (number == 5 && type == WireType::kVarint) {  // model_version
        Varint();
        continue;
      }
      const auto bytes = Varint();
      if (type != WireType::kBytes || !bytes || !FieldFits(number, *bytes)) return false;
      if (*bytes > start_.file_size - std::min<uint64_t>(at_, start_.file_size)) break;
      at_ += *bytes;
    }
    return is_sure_;
  }

 private:
  bool FieldFits(uint64_t number, uint64_t bytes) {
    constexpr uint64_t kMaxTextBytes = 64 * kKiB;
    switch (number) {
      case 2:  // producer_name
      case 3:  // producer_version
      case 4:  // domain
        return bytes <= kMaxTextBytes && IsText(bytes);
      case 6:  // doc_string
        return true;
      case 7:  // graph
        is_sure_ = is_sure_ || bytes == 0 || BeginsGraph();
        return is_sure_;
      case 8:   // opset_import
      case 14:  // metadata_props
      case 20:  // training_info
      case 25:  // functions
      case 26:  // configuration
        is_sure_ = true;
        return true;
      default:
        return false;
    }
  }

  bool IsText(uint64_t bytes) const {
    for (size_t i = at_; i < std::min<uint64_t>(at_ + bytes, start_.bytes.size()); ++i) {
      const auto byte = std::to_integer<uint8_t>(start_.bytes[i]);
      if (byte < 0x20 || byte == 0x7f) return false;
    }
    return true;
  }

  // By the tag of its first field.
  bool BeginsGraph() const {
    if (at_ >= start_.bytes.size()) return true;
    const auto tag = std::to_integer<uint8_t>(start_.bytes[at_]);
    constexpr uint8_t kFields[] = {1, 2, 5, 10, 11, 12, 13, 14, 15};
    return std::any_of(std::begin(kFields), std::end(kFields),
                       [&](uint8_t field) {
                         return tag == (field << 3 | static_cast<uint8_t>(WireType::kBytes));
                       }) ||
           tag == 0x82;  // the first byte of field 16
  }

  // Nothing at the end of what is there.
  std::optional<uint64_t> Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && at_ < start_.bytes.size(); shift += 7) {
      const auto byte = std::to_integer<uint64_t>(start_.bytes[at_++]);
      value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return std::nullopt;
  }

  const FileStart& start_;
  uint64_t at_ = 0;
  bool is_sure_ = false;
};

}  // namespace

bool LooksLikeModel(const FileStart& start) { return StartOfModel(start).Fits(); }

}  // namespace warmset::onnx
