// What a worker and its daemon say to each other: a worker opens devices' drivers,
// so the daemon trusts it no more than a client.
#include "fuzz/fuzzer.h"
#include "google/protobuf/stubs/logging.h"
#include "wire/worker_messages.h"

namespace warmset::wire {
namespace {

// What was read is written again and read as the same.
template <typename Message>
void RoundTrip(std::string_view payload, StatusOr<Message> (*parse)(std::string_view)) {
  const auto message = parse(payload);
  if (!message.ok()) return;
  const std::string once = Serialize(*message);
  const auto again = parse(once);
  Promise(again.ok(), "what was written is read");
  Promise(Serialize(*again) == once, "and means the same");
}

}  // namespace
}  // namespace warmset::wire

using namespace warmset;
using namespace warmset::wire;

std::vector<std::string> Seeds() {
  const auto component = DigestOf<ComponentId>(AsBytes("component"));
  std::vector<std::string> seeds;
  const auto to_worker = [&](const auto& body) {
    seeds.push_back(Serialize(sync::DaemonToWorker{7, 3, body}));
  };
  to_worker(sync::Welcome{5, 6});
  to_worker(sync::SnapshotRequest{});
  to_worker(sync::Command{9, sync::PlaceAction{"key", component.Hex(), "shared", 12}});
  to_worker(sync::Command{10, sync::ReleaseAction{"key"}});
  to_worker(sync::Command{11, sync::ExportAction{"key"}});
  const auto to_daemon = [&](const auto& body) {
    seeds.push_back(Serialize(sync::WorkerToDaemon{7, 3, body}));
  };
  const PlacementRecord record{component, MemoryPool::kShared, true, 5, 4};
  const sync::State state{{"a", Serialize(record)}, {"b", ""}};
  to_daemon(sync::WorkerHello{sync::kProtocolVersion, "card", 8});
  to_daemon(sync::Delta{4, 5, {{"key", Serialize(record), false}, {"gone", "", true}}});
  to_daemon(sync::Snapshot{5, state});
  to_daemon(sync::Heartbeat{5, sync::DigestState(state), 100, 200});
  to_daemon(sync::CommandReply{1, sync::Accepted{}});
  to_daemon(sync::CommandReply{1, sync::Done{5, {1, 2}}});
  to_daemon(sync::CommandReply{1, sync::Nack{"in_use", "why"}});
  seeds.push_back(Serialize(record));
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const google::protobuf::LogSilencer silencer;  // it reports every invalid UTF-8
  const std::string_view payload = Text(data, size);
  RoundTrip(payload, ParseDaemonToWorker);
  RoundTrip(payload, ParseWorkerToDaemon);
  RoundTrip(payload, ParsePlacementRecord);
  return 0;
}
