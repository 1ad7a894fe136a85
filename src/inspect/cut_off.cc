#include "inspect/cut_off.h"

#include "fmt/format.h"

namespace warmset {

Status CutOff(uint64_t bytes_there, uint64_t bytes_promised) {
  if (bytes_promised > kMaxPlausibleFileBytes) {
    return AtOffset(
        Error(ErrorCode::kCorruptedModel,
              fmt::format("it promises {} bytes, more than any model's file has, and has {}; "
                          "download it again",
                          bytes_promised, bytes_there)),
        bytes_there);
  }
  return AtOffset(Error(ErrorCode::kIncompleteModel,
                        fmt::format("it is cut off: {} of {} bytes are there; download it again",
                                    bytes_there, bytes_promised)),
                  bytes_there);
}

Status CutOffWithin(uint64_t bytes_there, std::string_view where) {
  if (bytes_there == 0) {
    return Error(ErrorCode::kIncompleteModel, "it is empty; download it again");
  }
  return AtOffset(Error(ErrorCode::kIncompleteModel,
                        fmt::format("it is cut off: it ends at byte {}, within {}; download it "
                                    "again",
                                    bytes_there, where)),
                  bytes_there);
}

}  // namespace warmset
