// A worker on a thread, and a daemon that says what it likes.
#include "worker/worker.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/digest.h"
#include "codec/segmented_streams.h"
#include "os/file.h"
#include "os/mapping.h"
#include "os/memory_file.h"
#include "os/unix_socket.h"
#include "tensor/tensor_index.h"
#include "wire/worker_messages.h"

namespace warmset {
namespace {

constexpr uint64_t kEpoch = 7;
constexpr uint64_t kTerm = 3;

// An entry with one tensor per 1000 bytes, and what its bytes are.
struct TestEntry {
  std::string content;
  os::MemoryFile index;
  os::MemoryFile data;
};

TestEntry MakeEntry(size_t tensors) {
  TestEntry entry;
  std::vector<TensorEntry> table;
  for (size_t i = 0; i < tensors; ++i) {
    table.push_back({"t" + std::to_string(i), DType::kU8, {1000}, i * 1000, 1000});
    entry.content += std::string(1000, static_cast<char>('a' + i % 26));
  }
  entry.index = *os::MakeSealedFile("test-index",
                                    AsBytes(EncodeTensorIndex(table, {}, entry.content.size())));
  entry.data = *os::MakeSealedFile("test-entry", AsBytes(entry.content));
  return entry;
}

// Its bytes in two segments, one of them compressed.
struct CompressedFiles {
  os::MemoryFile streams;
  os::MemoryFile segments;
};

CompressedFiles Compress(const TestEntry& entry, bool damaged = false) {
  const auto raw = AsBytes(entry.content);
  const uint64_t half = raw.size() / 2;
  std::vector<std::byte> streams;
  std::vector<codec::StreamSegment> segments;
  for (const uint64_t begin : {uint64_t{0}, half}) {
    const codec::Codec& codec = codec::GetCodec(begin == 0 ? codec::CodecKind::kZstd
                                                           : codec::CodecKind::kRaw);
    const auto part = raw.subspan(begin, begin == 0 ? half : raw.size() - half);
    const uint64_t at = streams.size();
    streams.resize(at + codec.EncodedBound(DType::kU8, part.size()));
    const auto bytes = codec.Encode(part, DType::kU8, std::span(streams).subspan(at));
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    streams.resize(at + *bytes);
    segments.push_back({begin, part.size(), at, *bytes});
  }
  const auto table = codec::SegmentedStreams::Create(segments, streams)->EncodeTable();
  if (damaged) streams[streams.size() - 1000] ^= std::byte{1};
  return {*os::MakeSealedFile("test-streams", streams),
          *os::MakeSealedFile("test-segments", AsBytes(table))};
}

sync::PlaceAction PlaceOf(const std::string& key, std::string_view pool, const TestEntry& entry) {
  return {key, DigestOf<ComponentId>(AsBytes(key)).Hex(), std::string(pool),
          entry.content.size()};
}

class WorkerTest : public ::testing::Test {
 protected:
  void SetUp() override { Start(ByteCount(64 * kMiB)); }
  void TearDown() override {
    socket_.Reset();
    if (thread_.joinable()) thread_.join();
  }

  void Start(ByteCount memory) {
    auto ends = os::MakeSocketPair();
    ASSERT_TRUE(ends.ok());
    socket_ = std::move(ends->first);
    device_ = *OpenDevice(DeviceId("host:0"), memory);
    thread_ = std::thread([this, end = std::move(ends->second)]() mutable {
      auto loop = os::EventLoop::Create();
      Worker worker(**loop, *device_, std::move(end), kEpoch);
      result_ = worker.Serve();
    });
  }
  void Restart(ByteCount memory) {
    TearDown();
    reader_ = wire::FrameReader();
    Start(memory);
  }

  void Send(decltype(sync::DaemonToWorker::body) body, const std::vector<int>& fds = {}) {
    SendRaw(wire::Serialize(sync::DaemonToWorker{kEpoch, kTerm, std::move(body)}), fds);
  }
  void SendRaw(std::string_view payload, const std::vector<int>& fds = {}) {
    wire::FrameWriter writer(32 * kMiB);
    std::vector<wire::SharedFd> shared;
    for (const int fd : fds) shared.push_back({fd, nullptr});
    ASSERT_TRUE(writer.Push(wire::Encoding::kProtobuf, payload, shared).ok());
    ASSERT_TRUE(writer.FlushTo(socket_.get()).ok());
  }
  void Welcome() { Send(sync::Welcome{}); }

  struct Heard {
    sync::WorkerToDaemon message;
    std::vector<os::UniqueFd> fds;
  };
  // The next message; nothing when the worker closed.
  std::optional<Heard> Hear() {
    while (true) {
      auto frame = reader_.Next();
      EXPECT_TRUE(frame.ok()) << frame.status();
      if (!frame.ok()) return std::nullopt;
      if (frame->has_value()) {
        auto message = wire::ParseWorkerToDaemon((*frame)->payload);
        EXPECT_TRUE(message.ok()) << message.status();
        return Heard{*std::move(message), std::move((*frame)->fds)};
      }
      const auto received = reader_.ReceiveFrom(socket_.get());
      if (!received.ok() || received->closed) return std::nullopt;
    }
  }
  // Skips to the next message of a kind.
  template <typename Body>
  std::optional<Body> HearBody(std::vector<os::UniqueFd>* fds = nullptr) {
    while (auto heard = Hear()) {
      if (auto* body = std::get_if<Body>(&heard->message.body)) {
        if (fds != nullptr) *fds = std::move(heard->fds);
        return std::move(*body);
      }
    }
    return std::nullopt;
  }
  // A command's end, past its Accepted.
  StatusOr<sync::Done> End(uint64_t sequence, std::vector<os::UniqueFd>* fds = nullptr) {
    while (auto reply = HearBody<sync::CommandReply>(fds)) {
      if (reply->sequence != sequence || std::holds_alternative<sync::Accepted>(reply->outcome)) {
        continue;
      }
      if (const auto* nack = std::get_if<sync::Nack>(&reply->outcome)) {
        return Error(ErrorCodeFromName(nack->error_code), nack->error_message);
      }
      return std::get<sync::Done>(reply->outcome);
    }
    return Error(ErrorCode::kDeviceUnavailable, "the worker closed");
  }

  uint64_t Place(const TestEntry& entry, const std::string& key, std::string_view pool) {
    return Do(PlaceOf(key, pool, entry), {entry.index.fd(), entry.data.fd()});
  }
  uint64_t Do(sync::Action action, const std::vector<int>& fds = {}) {
    Send(sync::Command{++sequence_, std::move(action)}, fds);
    return sequence_;
  }
  // The worker serves on as before.
  void ExpectAlive() {
    const TestEntry entry = MakeEntry(1);
    EXPECT_TRUE(End(Place(entry, "alive", "dedicated")).ok());
    EXPECT_TRUE(End(Do(sync::ReleaseAction{"alive"})).ok());
    EXPECT_EQ(device_->memory()->used, ByteCount());
  }

  os::UniqueFd socket_;
  wire::FrameReader reader_;
  std::unique_ptr<Device> device_;
  std::thread thread_;
  Status result_;
  uint64_t sequence_ = 0;
};

// Checks every tensor of an export against the entry it came from.
void ExpectContent(const TestEntry& entry, const std::vector<os::UniqueFd>& fds,
                   const std::vector<uint64_t>& chunk_bytes) {
  ASSERT_EQ(fds.size(), chunk_bytes.size() + 1);
  std::string memory;
  for (size_t i = 0; i < chunk_bytes.size(); ++i) {
    const auto chunk =
        os::Mapping::Create(fds[i + 1].get(), chunk_bytes[i], os::Mapping::Kind::kSharedReadOnly);
    ASSERT_TRUE(chunk.ok()) << chunk.status();
    memory.append(reinterpret_cast<const char*>(chunk->data()), chunk->size());
  }
  const auto index_bytes = os::SealedSize(fds[0].get());
  ASSERT_TRUE(index_bytes.ok());
  const auto blob =
      os::Mapping::Create(fds[0].get(), *index_bytes, os::Mapping::Kind::kSharedReadOnly);
  ASSERT_TRUE(blob.ok());
  const auto index = TensorIndex::Parse(blob->span());
  ASSERT_TRUE(index.ok()) << index.status();
  ASSERT_EQ(index->tensor_count() * 1000, entry.content.size());
  for (uint64_t i = 0; i < index->tensor_count(); ++i) {
    EXPECT_EQ(memory.substr(index->tensor(i).offset, 1000), entry.content.substr(i * 1000, 1000));
  }
}

TEST_F(WorkerTest, SaysHelloThenWaitsForItsWelcome) {
  const auto hello = Hear();
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->message.worker_epoch, kEpoch);
  EXPECT_EQ(hello->message.daemon_term, 0u);
  EXPECT_EQ(std::get<sync::WorkerHello>(hello->message.body).memory_limit, 64 * kMiB);
  Welcome();
  const auto snapshot = Hear();
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_EQ(snapshot->message.daemon_term, kTerm);
  EXPECT_TRUE(std::get<sync::Snapshot>(snapshot->message.body).state.empty());
}

TEST_F(WorkerTest, PlacesExportsAndReleasesADedicatedCopy) {
  Welcome();
  const TestEntry entry = MakeEntry(5000);
  const uint64_t place = Place(entry, "k", "dedicated");
  EXPECT_TRUE(End(place).ok());

  std::vector<os::UniqueFd> fds;
  const uint64_t exported = Do(sync::ExportAction{"k"});
  const auto chunks = End(exported, &fds);
  ASSERT_TRUE(chunks.ok()) << chunks.status();
  ExpectContent(entry, fds, chunks->chunk_bytes);

  // The same command again: the same answer, with descriptors.
  Send(sync::Command{exported, sync::ExportAction{"k"}});
  const auto again = End(exported, &fds);
  ASSERT_TRUE(again.ok());
  ExpectContent(entry, fds, again->chunk_bytes);

  const auto released = End(Do(sync::ReleaseAction{"k"}));
  ASSERT_TRUE(released.ok());
  EXPECT_EQ(released->freed_bytes, AlignUp(5000 * 1024, 4096));
  EXPECT_EQ(CodeOf(End(Do(sync::ExportAction{"k"})).status()), ErrorCode::kNotLoaded);
  EXPECT_EQ(CodeOf(End(Do(sync::ReleaseAction{"k"})).status()), ErrorCode::kNotLoaded);
}

TEST_F(WorkerTest, SharedUsesTheEntrysOwnPages) {
  Welcome();
  const TestEntry entry = MakeEntry(10);
  EXPECT_TRUE(End(Place(entry, "k", "shared")).ok());
  EXPECT_EQ(device_->memory()->used, ByteCount());
  std::vector<os::UniqueFd> fds;
  const auto chunks = End(Do(sync::ExportAction{"k"}), &fds);
  ASSERT_TRUE(chunks.ok()) << chunks.status();
  ExpectContent(entry, fds, chunks->chunk_bytes);
  EXPECT_EQ(os::Identify(fds[1].get())->inode, os::Identify(entry.data.fd())->inode);
  EXPECT_EQ(End(Do(sync::ReleaseAction{"k"}))->freed_bytes, 0u);
}

TEST_F(WorkerTest, TheStateIsSeenBeforeTheReplyThatFollowsFromIt) {
  Welcome();
  ASSERT_TRUE(HearBody<sync::Snapshot>().has_value());
  const TestEntry entry = MakeEntry(10);
  const uint64_t place = Place(entry, "k", "dedicated");
  sync::State mirror;
  while (const auto heard = Hear()) {
    if (const auto* delta = std::get_if<sync::Delta>(&heard->message.body)) {
      for (const sync::StateItem& item : delta->items) mirror[item.key] = item.value;
    }
    const auto* reply = std::get_if<sync::CommandReply>(&heard->message.body);
    if (reply == nullptr || !std::holds_alternative<sync::Done>(reply->outcome)) continue;
    EXPECT_EQ(reply->sequence, place);
    const auto record = wire::ParsePlacementRecord(mirror["k"]);
    ASSERT_TRUE(record.ok()) << record.status();
    EXPECT_TRUE(record->ready);
    EXPECT_EQ(record->component, DigestOf<ComponentId>(AsBytes("k")));
    EXPECT_EQ(record->loaded_bytes, record->bytes);
    return;
  }
  FAIL() << "no reply";
}

TEST_F(WorkerTest, ABudgetTooSmallLeavesEverythingAsItWas) {
  Restart(ByteCount(kMiB));
  Welcome();
  const TestEntry entry = MakeEntry(2000);
  const Status status = End(Place(entry, "k", "dedicated")).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kInsufficientDeviceMemory);
  EXPECT_NE(Message(status).find("of 1.00 MiB"), std::string_view::npos) << Message(status);
  ExpectAlive();
}

TEST_F(WorkerTest, AReleaseEndsALoad) {
  Restart(ByteCount(2 * kGiB));
  Welcome();
  // Many small tensors of a sparse entry: slow to copy, cheap to make.
  const uint64_t bytes = 1 * kGiB;
  const std::vector<TensorEntry> table{{"t", DType::kU8, {bytes}, 0, bytes}};
  TestEntry entry;
  entry.index = *os::MakeSealedFile("test-index", AsBytes(EncodeTensorIndex(table, {}, bytes)));
  entry.data = *os::MemoryFile::Create("test-entry", bytes);
  ASSERT_TRUE(entry.data.Seal().ok());
  const uint64_t place = ++sequence_;
  Send(sync::Command{place, sync::PlaceAction{"k", ComponentId{}.Hex(), "dedicated", bytes}},
       {entry.index.fd(), entry.data.fd()});
  const uint64_t release = Do(sync::ReleaseAction{"k"});
  std::optional<Status> placed;
  std::optional<Status> released;
  while (!placed || !released) {
    const auto reply = HearBody<sync::CommandReply>();
    ASSERT_TRUE(reply.has_value());
    if (std::holds_alternative<sync::Accepted>(reply->outcome)) continue;
    const auto* nack = std::get_if<sync::Nack>(&reply->outcome);
    const Status end =
        nack == nullptr ? OkStatus() : Error(ErrorCodeFromName(nack->error_code), "");
    (reply->sequence == place ? placed : released) = end;
    EXPECT_TRUE(reply->sequence == place || reply->sequence == release);
  }
  EXPECT_EQ(CodeOf(*placed), ErrorCode::kCancelled);
  EXPECT_TRUE(released->ok());
  ExpectAlive();
}

TEST_F(WorkerTest, LyingPlaceCommandsAreRefused) {
  Welcome();
  const TestEntry entry = MakeEntry(4);
  const std::string id = ComponentId{}.Hex();
  const auto index = entry.index.fd();
  const auto data = entry.data.fd();
  const auto unsealed = *os::MemoryFile::Create("test-unsealed", 4000);
  const auto garbage = *os::MakeSealedFile("test-garbage", AsBytes("no index at all"));
  const auto larger = *os::MakeSealedFile("test-larger", AsBytes(EncodeTensorIndex({}, {}, 5000)));
  const auto file = *os::OpenForRead("/proc/self/exe");
  const auto place = [&](const std::string& component, const char* pool, uint64_t bytes,
                         const std::vector<int>& fds) {
    return CodeOf(End(Do(sync::PlaceAction{"k", component, pool, bytes}, fds)).status());
  };
  for (const char* pool : {"dedicated", "shared"}) {
    const auto expected = {
        place(id, pool, 4000, {}),
        place(id, pool, 4000, {index}),
        place(id, pool, 4000, {index, data, data, data}),
        place(id, pool, 4001, {index, data}),
        place(id, pool, ~uint64_t{0}, {index, data}),
        place(id, pool, 4000, {index, unsealed.fd()}),
        place(id, pool, 4000, {index, file.get()}),
        place(id, pool, 4000, {index, socket_.get()}),
        place("../x", pool, 4000, {index, data}),
    };
    for (const ErrorCode code : expected) EXPECT_EQ(code, ErrorCode::kInvalidRequest);
    EXPECT_NE(place(id, pool, 15, {garbage.fd(), garbage.fd()}), ErrorCode::kInternal);
    EXPECT_EQ(place(id, pool, 4000, {larger.fd(), data}), ErrorCode::kInvalidRequest);
  }
  EXPECT_EQ(place(id, "swap", 4000, {index, data}), ErrorCode::kInvalidRequest);
  ExpectAlive();
}

TEST_F(WorkerTest, WhatIsCompressedIsDecodedOntoTheDevice) {
  Welcome();
  const TestEntry entry = MakeEntry(3000);
  const CompressedFiles files = Compress(entry);
  const uint64_t place =
      Do(PlaceOf("k", "dedicated", entry),
         {entry.index.fd(), files.streams.fd(), files.segments.fd()});
  const auto placed = End(place);
  ASSERT_TRUE(placed.ok()) << placed.status();
  std::vector<os::UniqueFd> fds;
  const auto chunks = End(Do(sync::ExportAction{"k"}), &fds);
  ASSERT_TRUE(chunks.ok()) << chunks.status();
  ExpectContent(entry, fds, chunks->chunk_bytes);
}

TEST_F(WorkerTest, CompressedFilesThatLieAreRefused) {
  Welcome();
  const TestEntry entry = MakeEntry(3000);
  const CompressedFiles files = Compress(entry);
  const auto place = [&](const std::string& pool, int streams, int segments, int64_t more = 0) {
    sync::PlaceAction action = PlaceOf("k", pool, entry);
    action.bytes += static_cast<uint64_t>(more);
    return CodeOf(End(Do(action, {entry.index.fd(), streams, segments})).status());
  };
  const int streams = files.streams.fd();
  const int segments = files.segments.fd();
  EXPECT_EQ(place("shared", streams, segments), ErrorCode::kInvalidRequest);
  EXPECT_EQ(place("dedicated", streams, segments, 1), ErrorCode::kInvalidRequest);
  EXPECT_EQ(place("dedicated", streams, socket_.get()), ErrorCode::kInvalidRequest);
  EXPECT_EQ(place("dedicated", streams, streams), ErrorCode::kCorruptedModel);
  EXPECT_EQ(place("dedicated", segments, segments), ErrorCode::kCorruptedModel);
  EXPECT_EQ(place("dedicated", Compress(entry, /*damaged=*/true).streams.fd(), segments),
            ErrorCode::kCorruptedModel);
  ExpectAlive();
}

TEST_F(WorkerTest, ATakenKeyIsRefused) {
  Welcome();
  const TestEntry entry = MakeEntry(4);
  EXPECT_TRUE(End(Place(entry, "k", "shared")).ok());
  EXPECT_EQ(CodeOf(End(Place(entry, "k", "dedicated")).status()), ErrorCode::kInUse);
}

TEST_F(WorkerTest, CommandsForAnotherEpochAreNotExecuted) {
  Welcome();
  const TestEntry entry = MakeEntry(4);
  SendRaw(wire::Serialize(sync::DaemonToWorker{
              kEpoch - 1, kTerm,
              sync::Command{1, sync::PlaceAction{"stale", ComponentId{}.Hex(), "shared", 4000}}}),
          {entry.index.fd(), entry.data.fd()});
  ExpectAlive();
  EXPECT_EQ(CodeOf(End(Do(sync::ExportAction{"stale"})).status()), ErrorCode::kNotLoaded);
}

TEST_F(WorkerTest, GarbageEndsTheWorkerInOrder) {
  Welcome();
  SendRaw("\xff\xff\xff no message");
  while (Hear()) {
  }
  thread_.join();
  EXPECT_EQ(CodeOf(result_), ErrorCode::kInvalidRequest);
}

TEST_F(WorkerTest, ABrokenHeaderEndsTheWorkerInOrder) {
  const std::string header(8, '\xff');
  ASSERT_TRUE(os::SendWithFds(socket_.get(), AsBytes(header), {}).ok());
  while (Hear()) {
  }
  thread_.join();
  EXPECT_EQ(CodeOf(result_), ErrorCode::kInvalidRequest);
}

TEST_F(WorkerTest, EndsWhenTheDaemonIsGone) {
  Welcome();
  ASSERT_TRUE(HearBody<sync::Snapshot>().has_value());
  socket_.Reset();
  thread_.join();
  EXPECT_TRUE(result_.ok()) << result_;
}

}  // namespace
}  // namespace warmset
