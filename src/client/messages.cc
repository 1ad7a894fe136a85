#include "client/messages.h"

#include <utility>

#include "client/proto_wire.h"

namespace warmset::inline client_v1::client_internal {
namespace {

// Request.call
constexpr uint32_t kHello = 2;
constexpr uint32_t kListModels = 4;
constexpr uint32_t kGetModelState = 5;
constexpr uint32_t kCache = 9;
constexpr uint32_t kAttach = 13;
constexpr uint32_t kRelease = 14;
constexpr uint32_t kPreloadModel = 24;

std::string Call(uint32_t field, const ProtoWriter& message) {
  ProtoWriter request;
  request.Message(field, message);
  return request.data();
}

// Every Decode returns false when the bytes are no such message.
// clang-format off

bool Decode(std::string_view bytes, ClientError& error) {
  ProtoReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1: error.code = reader.string(); break;
      case 2: error.message = reader.string(); break;
      case 3: error.candidates.push_back(reader.string()); break;
    }
  }
  return reader.ok();
}

bool Decode(std::string_view bytes, Progress& progress) {
  ProtoReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1: progress.stage = reader.string(); break;
      case 2: progress.done = reader.uint_value(); break;
      case 3: progress.total = reader.uint_value(); break;
      case 4: progress.unit = reader.string(); break;
      case 5: progress.item = reader.string(); break;
    }
  }
  return reader.ok();
}

bool Decode(std::string_view bytes, ModelState::Placement& placement) {
  ProtoReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1: placement.device = reader.string(); break;
      case 2: placement.bytes = reader.uint_value(); break;
    }
  }
  return reader.ok();
}

CacheState ToCacheState(uint64_t number) {
  return number <= static_cast<uint64_t>(CacheState::kError) ? static_cast<CacheState>(number)
                                                             : CacheState::kUnknown;
}

bool Decode(std::string_view bytes, ModelState& state) {
  ProtoReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1: state.name = reader.string(); break;
      case 2: state.id = reader.string(); break;
      case 3: state.bytes = reader.uint_value(); break;
      case 4: state.format = reader.string(); break;
      case 5: state.layout = reader.string(); break;
      case 6: state.cache_state = ToCacheState(reader.uint_value()); break;
      case 7: state.cached_bytes = reader.uint_value(); break;
      case 8: state.strategy = reader.string(); break;
      case 9:
        if (!Decode(reader.bytes(), state.devices.emplace_back())) return false;
        break;
      case 10: state.leases = static_cast<uint32_t>(reader.uint_value()); break;
      case 11: state.last_used_unix_ms = static_cast<int64_t>(reader.uint_value()); break;
      case 12: state.error_code = reader.string(); break;
      case 13: state.kind = reader.string(); break;
      case 14: state.architecture = reader.string(); break;
      case 15: state.verdict = reader.string(); break;
      case 17: state.raw_bytes = reader.uint_value(); break;
      case 18: state.compressed_bytes = reader.uint_value(); break;
      case 24: state.claim = reader.string(); break;
    }
  }
  return reader.ok();
}

// ModelList
bool Decode(std::string_view bytes, std::vector<ModelState>& models) {
  ProtoReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1 && !Decode(reader.bytes(), models.emplace_back())) return false;
  }
  return reader.ok();
}

// ModelStateResult
bool Decode(std::string_view bytes, Result<ModelState>& result) {
  ProtoReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) {
      ModelState state;
      if (!Decode(reader.bytes(), state)) return false;
      result = std::move(state);
    } else if (reader.field() == 2) {
      ClientError error;
      if (!Decode(reader.bytes(), error)) return false;
      result = std::move(error);
    }
  }
  return reader.ok();
}

// ModelStates
bool Decode(std::string_view bytes, std::vector<Result<ModelState>>& states) {
  ProtoReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1 && !Decode(reader.bytes(), states.emplace_back(ModelState()))) {
      return false;
    }
  }
  return reader.ok();
}

bool Decode(std::string_view bytes, AttachedComponent::Chunk& chunk) {
  ProtoReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1: chunk.fd = reader.uint_value(); break;
      case 2: chunk.bytes = reader.uint_value(); break;
    }
  }
  return reader.ok();
}

bool Decode(std::string_view bytes, AttachedComponent& attached) {
  ProtoReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1: attached.model = reader.string(); break;
      case 2: attached.component = reader.string(); break;
      case 3: attached.type = reader.string(); break;
      case 4: attached.lease = reader.uint_value(); break;
      case 5: attached.bytes = reader.uint_value(); break;
      case 6: attached.index_fd = reader.uint_value(); break;
      case 7:
        if (!Decode(reader.bytes(), attached.chunks.emplace_back())) return false;
        break;
    }
  }
  return reader.ok();
}

bool Decode(std::string_view bytes, LeasesEnded& ended) {
  ProtoReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case 2:
        if (!DecodePackedUints(reader.bytes(), ended.leases)) return false;
        break;
      case 3:
        if (!Decode(reader.bytes(), ended.why)) return false;
        break;
    }
  }
  return reader.ok();
}

// CacheReply and PreloadReply
bool DecodeStateReply(std::string_view bytes, ModelState& state) {
  ProtoReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1 && !Decode(reader.bytes(), state)) return false;
  }
  return reader.ok();
}

// clang-format on

}  // namespace

std::string EncodeHello(std::string_view client_name, uint64_t held_bytes) {
  ProtoWriter hello;
  hello.Uint(1, kProtocolMajor);
  hello.Uint(2, kProtocolMinor);
  hello.String(3, client_name);
  hello.Uint(4, held_bytes);
  return Call(kHello, hello);
}

std::string EncodeListModels(std::string_view filter) {
  ProtoWriter list;
  list.String(1, filter);
  return Call(kListModels, list);
}

std::string EncodeGetModelState(std::span<const std::string> names) {
  ProtoWriter get;
  for (const std::string& name : names) get.RepeatedString(1, name);
  return Call(kGetModelState, get);
}

std::string EncodeCache(std::string_view model) {
  ProtoWriter cache;
  cache.String(1, model);
  return Call(kCache, cache);
}

std::string EncodePreload(std::string_view model) {
  ProtoWriter preload;
  preload.String(1, model);
  return Call(kPreloadModel, preload);
}

std::string EncodeAttach(const AttachRequest& attach) {
  ProtoWriter message;
  message.String(1, attach.model);
  if (!attach.component.empty()) message.RepeatedString(2, attach.component);
  message.String(3, attach.device);
  message.Uint(4, attach.file ? 1 : 0);
  message.String(5, attach.file_path);
  for (const std::string& tensor : attach.tensors) message.RepeatedString(6, tensor);
  return Call(kAttach, message);
}

std::string EncodeRelease(std::span<const uint64_t> leases) {
  ProtoWriter release;
  release.PackedUints(1, leases);
  return Call(kRelease, release);
}

std::string WithId(uint64_t id, std::string_view encoded) {
  ProtoWriter request;
  request.Uint(1, id);
  return request.data() + std::string(encoded);
}

// clang-format off
std::optional<Reply> DecodeReply(std::string_view payload) {
  Reply reply;
  ProtoReader reader(payload);
  bool ok = true;
  while (ok && reader.Next()) {
    switch (reader.field()) {
      case 1: reply.id = reader.uint_value(); break;
      case 2: reply.more = reader.uint_value() != 0; break;
      case 3: ok = Decode(reader.bytes(), reply.error.emplace()); break;
      case 4: ok = Decode(reader.bytes(), reply.progress.emplace()); break;
      case 7: ok = Decode(reader.bytes(), reply.models); break;
      case 8: ok = Decode(reader.bytes(), reply.states); break;
      case 12: ok = DecodeStateReply(reader.bytes(), reply.cached.emplace()); break;
      case 16: ok = Decode(reader.bytes(), reply.attached.emplace()); break;
      case 26: ok = DecodeStateReply(reader.bytes(), reply.preloaded.emplace()); break;
      case 27: ok = Decode(reader.bytes(), reply.leases_ended.emplace()); break;
      case 40: reply.warnings.push_back(reader.string()); break;
    }
  }
  if (!ok || !reader.ok()) return std::nullopt;
  return reply;
}
// clang-format on

}  // namespace warmset::inline client_v1::client_internal
