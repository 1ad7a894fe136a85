// What frames carry, see border.h. Decoding gives kCorruptedModel for whatever
// encoding would not produce; counts are not trusted with memory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "inspect/hub/tree.h"
#include "inspect/inspect.h"

namespace warmset::border {

// Whether the other end is of the same build, and what its kernel lacks.
struct Readiness {
  std::string program_version;
  uint16_t manifest_version = 0;
  uint32_t landlock_abi = 0;  // 0: none

  friend bool operator==(const Readiness&, const Readiness&) = default;
};
Readiness ReadinessOf(uint32_t landlock_abi);  // of this program

struct OpenRequest {
  bool other = false;  // a path that a file names, not one of ModelFiles::files
  std::string path;

  friend bool operator==(const OpenRequest&, const OpenRequest&) = default;
};

std::string Encode(const Readiness& readiness);
std::string Encode(const OpenRequest& request);
std::string Encode(const ModelFiles& model);
std::string Encode(const std::vector<std::string>& names);
std::string Encode(const HubTree& tree);
std::string Encode(const Status& error);

StatusOr<Readiness> DecodeReadiness(std::string_view payload);
StatusOr<OpenRequest> DecodeOpenRequest(std::string_view payload);
StatusOr<ModelFiles> DecodeModelFiles(std::string_view payload);
StatusOr<std::vector<std::string>> DecodeNames(std::string_view payload);
// Besides: its files lie below their snapshot, and are sorted by path.
StatusOr<HubTree> DecodeHubTree(std::string_view payload);
// The error that was sent, which is never OK; kCorruptedModel with a message that
// says so when it can't be read.
Status DecodeError(std::string_view payload);

}  // namespace warmset::border
