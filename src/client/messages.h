// The messages of proto/warmset/v1/session.proto that the client speaks.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "warmset/client.h"

namespace warmset::inline client_v1::client_internal {

inline constexpr uint32_t kProtocolMajor = 1;
inline constexpr uint32_t kProtocolMinor = 2;

struct AttachRequest {
  std::string model;
  std::string component;  // empty: all
  std::string device;
  bool file = false;
  std::string file_path;
  std::vector<std::string> tensors;  // empty: all
};

// A Request without its id, see WithId().
std::string EncodeHello(std::string_view client_name, uint64_t held_bytes);
std::string EncodeListModels(std::string_view filter);
std::string EncodeGetModelState(std::span<const std::string> names);
std::string EncodeCache(std::string_view model);
std::string EncodePreload(std::string_view model);
std::string EncodeAttach(const AttachRequest& attach);
std::string EncodeRelease(std::span<const uint64_t> leases);

// The whole Request.
std::string WithId(uint64_t id, std::string_view encoded);

struct AttachedComponent {
  struct Chunk {
    uint64_t fd = 0;  // position among the frame's descriptors
    uint64_t bytes = 0;
  };

  std::string model;
  std::string component;
  std::string type;
  uint64_t lease = 0;
  uint64_t bytes = 0;
  uint64_t index_fd = 0;
  std::vector<Chunk> chunks;
};

// An event: the daemon ended leases.
struct LeasesEnded {
  std::vector<uint64_t> leases;
  ClientError why;
};

// A Response: what of it the client knows. The field that the request asks for
// may be missing: then it has its default value.
struct Reply {
  uint64_t id = 0;
  bool more = false;
  std::optional<ClientError> error;
  std::optional<Progress> progress;
  std::vector<ModelState> models;          // of ListModels
  std::vector<Result<ModelState>> states;  // of GetModelState
  std::optional<ModelState> cached;        // of Cache
  std::optional<ModelState> preloaded;     // of PreloadModel
  std::optional<AttachedComponent> attached;
  std::optional<LeasesEnded> leases_ended;
  std::vector<std::string> warnings;
};

// Nothing when payload is no such message.
std::optional<Reply> DecodeReply(std::string_view payload);

}  // namespace warmset::inline client_v1::client_internal
