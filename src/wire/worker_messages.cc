#include "wire/worker_messages.h"

#include <type_traits>
#include <utility>
#include <variant>

#include "fmt/format.h"
#include "warmset/v1/worker.pb.h"

namespace warmset::wire {
namespace {

template <typename Message>
StatusOr<Message> Parse(std::string_view payload) {
  Message message;
  if (message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return message;
  return Error(ErrorCode::kInvalidRequest,
               fmt::format("{} bytes that are no {}", payload.size(), message.GetTypeName()));
}

Status Lacks(std::string_view message, std::string_view part) {
  return Error(ErrorCode::kInvalidRequest, fmt::format("a {} without {}", message, part));
}

// --- to protobuf ---

void Fill(v1::DaemonToWorker& out, const sync::Welcome& in) {
  out.mutable_welcome()->set_known_epoch(in.known_epoch);
  out.mutable_welcome()->set_known_revision(in.known_revision);
}

void Fill(v1::DaemonToWorker& out, const sync::SnapshotRequest&) { out.mutable_snapshot_request(); }

void FillAction(v1::Command& out, const sync::PlaceAction& in) {
  out.mutable_place()->set_key(in.key);
  out.mutable_place()->set_component_id(in.component_id);
  out.mutable_place()->set_pool(in.pool);
  out.mutable_place()->set_bytes(in.bytes);
}
void FillAction(v1::Command& out, const sync::ReleaseAction& in) {
  out.mutable_release()->set_key(in.key);
}
void FillAction(v1::Command& out, const sync::ExportAction& in) {
  out.mutable_export_()->set_key(in.key);
}

void Fill(v1::DaemonToWorker& out, const sync::Command& in) {
  out.mutable_command()->set_sequence(in.sequence);
  std::visit([&out](const auto& action) { FillAction(*out.mutable_command(), action); }, in.action);
}

void Fill(v1::WorkerToDaemon& out, const sync::WorkerHello& in) {
  out.mutable_hello()->set_protocol(in.protocol);
  out.mutable_hello()->set_device_name(in.device_name);
  out.mutable_hello()->set_memory_limit(in.memory_limit);
}

void Fill(v1::WorkerToDaemon& out, const sync::Delta& in) {
  out.mutable_delta()->set_base_revision(in.base_revision);
  out.mutable_delta()->set_revision(in.revision);
  for (const sync::StateItem& item : in.items) {
    v1::StateItem& added = *out.mutable_delta()->add_items();
    added.set_key(item.key);
    added.set_value(item.value);
    added.set_removed(item.removed);
  }
}

void Fill(v1::WorkerToDaemon& out, const sync::Snapshot& in) {
  out.mutable_snapshot()->set_revision(in.revision);
  for (const auto& [key, value] : in.state) {
    v1::StateItem& added = *out.mutable_snapshot()->add_items();
    added.set_key(key);
    added.set_value(value);
  }
}

void Fill(v1::WorkerToDaemon& out, const sync::Heartbeat& in) {
  v1::Heartbeat& heartbeat = *out.mutable_heartbeat();
  heartbeat.set_revision(in.revision);
  heartbeat.set_digest(in.digest.bytes.data(), in.digest.bytes.size());
  heartbeat.set_memory_used(in.memory_used);
  heartbeat.set_shared_bytes(in.shared_bytes);
}

void FillOutcome(v1::CommandReply& out, const sync::Accepted&) { out.mutable_accepted(); }
void FillOutcome(v1::CommandReply& out, const sync::Done& in) {
  out.mutable_done()->set_freed_bytes(in.freed_bytes);
  for (const uint64_t bytes : in.chunk_bytes) out.mutable_done()->add_chunk_bytes(bytes);
}
void FillOutcome(v1::CommandReply& out, const sync::Nack& in) {
  out.mutable_nack()->set_error_code(in.error_code);
  out.mutable_nack()->set_error_message(in.error_message);
}

void Fill(v1::WorkerToDaemon& out, const sync::CommandReply& in) {
  out.mutable_reply()->set_sequence(in.sequence);
  std::visit([&out](const auto& outcome) { FillOutcome(*out.mutable_reply(), outcome); },
             in.outcome);
}

template <typename ProtoMessage, typename Message>
std::string SerializeAs(const Message& in) {
  ProtoMessage out;
  out.set_worker_epoch(in.worker_epoch);
  out.set_daemon_term(in.daemon_term);
  std::visit([&out](const auto& body) { Fill(out, body); }, in.body);
  return out.SerializeAsString();
}

// --- from protobuf ---

StatusOr<sync::Command> FromProto(const v1::Command& in) {
  switch (in.action_case()) {
    case v1::Command::kPlace:
      return sync::Command{in.sequence(),
                           sync::PlaceAction{in.place().key(), in.place().component_id(),
                                             in.place().pool(), in.place().bytes()}};
    case v1::Command::kRelease:
      return sync::Command{in.sequence(), sync::ReleaseAction{in.release().key()}};
    case v1::Command::kExport:
      return sync::Command{in.sequence(), sync::ExportAction{in.export_().key()}};
    case v1::Command::ACTION_NOT_SET:
      break;
  }
  return Lacks("Command", "an action");
}

sync::Delta FromProto(const v1::Delta& in) {
  sync::Delta out{in.base_revision(), in.revision(), {}};
  for (const v1::StateItem& item : in.items()) {
    out.items.push_back({item.key(), item.value(), item.removed()});
  }
  return out;
}

sync::Snapshot FromProto(const v1::Snapshot& in) {
  sync::Snapshot out{in.revision(), {}};
  for (const v1::StateItem& item : in.items()) out.state[item.key()] = item.value();
  return out;
}

StatusOr<sync::Heartbeat> FromProto(const v1::Heartbeat& in) {
  sync::Heartbeat out;
  out.revision = in.revision();
  ASSIGN_OR_RETURN(out.digest, sync::StateDigest::FromBytes(AsBytes(in.digest())));
  out.memory_used = in.memory_used();
  out.shared_bytes = in.shared_bytes();
  return out;
}

StatusOr<sync::CommandReply> FromProto(const v1::CommandReply& in) {
  switch (in.outcome_case()) {
    case v1::CommandReply::kAccepted:
      return sync::CommandReply{in.sequence(), sync::Accepted{}};
    case v1::CommandReply::kDone:
      return sync::CommandReply{in.sequence(), sync::Done{in.done().freed_bytes(),
                                                          {in.done().chunk_bytes().begin(),
                                                           in.done().chunk_bytes().end()}}};
    case v1::CommandReply::kNack:
      return sync::CommandReply{in.sequence(),
                                sync::Nack{in.nack().error_code(), in.nack().error_message()}};
    case v1::CommandReply::OUTCOME_NOT_SET:
      break;
  }
  return Lacks("CommandReply", "an outcome");
}

}  // namespace

std::string Serialize(const sync::DaemonToWorker& message) {
  return SerializeAs<v1::DaemonToWorker>(message);
}
std::string Serialize(const sync::WorkerToDaemon& message) {
  return SerializeAs<v1::WorkerToDaemon>(message);
}

StatusOr<sync::DaemonToWorker> ParseDaemonToWorker(std::string_view payload) {
  ASSIGN_OR_RETURN(const v1::DaemonToWorker in, Parse<v1::DaemonToWorker>(payload));
  sync::DaemonToWorker out{in.worker_epoch(), in.daemon_term(), sync::SnapshotRequest{}};
  switch (in.message_case()) {
    case v1::DaemonToWorker::kWelcome:
      out.body = sync::Welcome{in.welcome().known_epoch(), in.welcome().known_revision()};
      return out;
    case v1::DaemonToWorker::kCommand: {
      ASSIGN_OR_RETURN(out.body, FromProto(in.command()));
      return out;
    }
    case v1::DaemonToWorker::kSnapshotRequest:
      return out;
    case v1::DaemonToWorker::MESSAGE_NOT_SET:
      break;
  }
  return Lacks("DaemonToWorker", "a message");
}

StatusOr<sync::WorkerToDaemon> ParseWorkerToDaemon(std::string_view payload) {
  ASSIGN_OR_RETURN(const v1::WorkerToDaemon in, Parse<v1::WorkerToDaemon>(payload));
  sync::WorkerToDaemon out{in.worker_epoch(), in.daemon_term(), sync::WorkerHello{}};
  switch (in.message_case()) {
    case v1::WorkerToDaemon::kHello:
      out.body = sync::WorkerHello{in.hello().protocol(), in.hello().device_name(),
                                   in.hello().memory_limit()};
      return out;
    case v1::WorkerToDaemon::kDelta:
      out.body = FromProto(in.delta());
      return out;
    case v1::WorkerToDaemon::kSnapshot:
      out.body = FromProto(in.snapshot());
      return out;
    case v1::WorkerToDaemon::kHeartbeat: {
      ASSIGN_OR_RETURN(out.body, FromProto(in.heartbeat()));
      return out;
    }
    case v1::WorkerToDaemon::kReply: {
      ASSIGN_OR_RETURN(out.body, FromProto(in.reply()));
      return out;
    }
    case v1::WorkerToDaemon::MESSAGE_NOT_SET:
      break;
  }
  return Lacks("WorkerToDaemon", "a message");
}

std::string Serialize(const PlacementRecord& record) {
  v1::PlacementRecord out;
  out.set_component_id(record.component.Hex());
  out.set_pool(std::string(MemoryPoolName(record.pool)));
  out.set_phase(record.ready ? "ready" : "loading");
  out.set_bytes(record.bytes);
  out.set_loaded_bytes(record.loaded_bytes);
  return out.SerializeAsString();
}

StatusOr<PlacementRecord> ParsePlacementRecord(std::string_view value) {
  ASSIGN_OR_RETURN(const v1::PlacementRecord in, Parse<v1::PlacementRecord>(value));
  PlacementRecord out;
  ASSIGN_OR_RETURN(out.component, ComponentId::FromHex(in.component_id()));
  const std::optional<MemoryPool> pool = MemoryPoolFromName(in.pool());
  if (!pool) return Lacks("PlacementRecord", "a known pool");
  if (in.phase() != "ready" && in.phase() != "loading") {
    return Lacks("PlacementRecord", "a known phase");
  }
  out.pool = *pool;
  out.ready = in.phase() == "ready";
  out.bytes = in.bytes();
  out.loaded_bytes = in.loaded_bytes();
  return out;
}

}  // namespace warmset::wire
