#include "wire/worker_messages.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <variant>

#include "google/protobuf/stubs/logging.h"

namespace warmset::wire {
namespace {

template <typename Body>
Body ThroughWorker(const Body& body) {
  const auto parsed = ParseDaemonToWorker(Serialize(sync::DaemonToWorker{7, 3, body}));
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->worker_epoch, 7u);
  EXPECT_EQ(parsed->daemon_term, 3u);
  return std::get<Body>(parsed->body);
}

template <typename Body>
Body ThroughDaemon(const Body& body) {
  const auto parsed = ParseWorkerToDaemon(Serialize(sync::WorkerToDaemon{7, 3, body}));
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return std::get<Body>(parsed->body);
}

TEST(WorkerMessages, DaemonToWorkerRoundTrip) {
  EXPECT_EQ(ThroughWorker(sync::Welcome{5, 6}).known_revision, 6u);
  ThroughWorker(sync::SnapshotRequest{});
  const auto place = ThroughWorker(sync::Command{9, sync::PlaceAction{"k", "c", "shared", 12}});
  EXPECT_EQ(place.sequence, 9u);
  EXPECT_EQ(std::get<sync::PlaceAction>(place.action).bytes, 12u);
  EXPECT_EQ(std::get<sync::PlaceAction>(place.action).pool, "shared");
  const auto release = ThroughWorker(sync::Command{10, sync::ReleaseAction{"k"}});
  EXPECT_EQ(std::get<sync::ReleaseAction>(release.action).key, "k");
  const auto exported = ThroughWorker(sync::Command{11, sync::ExportAction{"k"}});
  EXPECT_EQ(std::get<sync::ExportAction>(exported.action).key, "k");
}

TEST(WorkerMessages, WorkerToDaemonRoundTrip) {
  EXPECT_EQ(ThroughDaemon(sync::WorkerHello{1, "card", 8}).device_name, "card");
  const auto delta = ThroughDaemon(
      sync::Delta{4, 5, {{"k", std::string("\0\xff", 2), false}, {"gone", "", true}}});
  EXPECT_EQ(delta.base_revision, 4u);
  ASSERT_EQ(delta.items.size(), 2u);
  EXPECT_EQ(delta.items[0].value, std::string("\0\xff", 2));
  EXPECT_TRUE(delta.items[1].removed);
  const sync::State state{{"a", "1"}, {"b", ""}};
  EXPECT_EQ(ThroughDaemon(sync::Snapshot{5, state}).state, state);
  const sync::Heartbeat beat{5, sync::DigestState(state), 100, 200};
  EXPECT_EQ(ThroughDaemon(beat).digest, beat.digest);
  EXPECT_EQ(ThroughDaemon(beat).shared_bytes, 200u);
  EXPECT_TRUE(std::holds_alternative<sync::Accepted>(
      ThroughDaemon(sync::CommandReply{1, sync::Accepted{}}).outcome));
  const auto done = ThroughDaemon(sync::CommandReply{1, sync::Done{5, {1, 2}}});
  EXPECT_EQ(std::get<sync::Done>(done.outcome).chunk_bytes, (std::vector<uint64_t>{1, 2}));
  const auto nack = ThroughDaemon(sync::CommandReply{1, sync::Nack{"in_use", "why"}});
  EXPECT_EQ(std::get<sync::Nack>(nack.outcome).error_code, "in_use");
}

TEST(WorkerMessages, WhatIsIncompleteIsRefused) {
  for (const std::string& payload :
       {std::string(), std::string("\x22\x00", 2) /* a Command of nothing */,
        std::string("\xff\xff\xff")}) {
    EXPECT_EQ(CodeOf(ParseDaemonToWorker(payload).status()), ErrorCode::kInvalidRequest);
  }
  // An empty Heartbeat has no digest, an empty reply no outcome.
  for (const std::string& payload : {std::string("\x32\x00", 2), std::string("\x3a\x00", 2)}) {
    EXPECT_EQ(CodeOf(ParseWorkerToDaemon(payload).status()), ErrorCode::kInvalidRequest);
  }
}

TEST(WorkerMessages, RandomBytesNeverCrash) {
  const google::protobuf::LogSilencer silencer;  // it reports every invalid UTF-8
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string payload(random() % 64, '\0');
    for (char& byte : payload) byte = static_cast<char>(random());
    (void)ParseDaemonToWorker(payload).ok();
    (void)ParseWorkerToDaemon(payload).ok();
    (void)ParsePlacementRecord(payload).ok();
  }
}

TEST(WorkerMessages, PlacementRecordRoundTrip) {
  const PlacementRecord record{DigestOf<ComponentId>(AsBytes("c")), MemoryPool::kShared, true, 5,
                               4};
  const auto parsed = ParsePlacementRecord(Serialize(record));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->component, record.component);
  EXPECT_EQ(parsed->pool, MemoryPool::kShared);
  EXPECT_TRUE(parsed->ready);
  EXPECT_EQ(parsed->bytes, 5u);
  EXPECT_EQ(parsed->loaded_bytes, 4u);
  EXPECT_FALSE(ParsePlacementRecord("").ok());
}

}  // namespace
}  // namespace warmset::wire
