#include "cache/compressed_entry.h"

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "cache/entry_loader.h"
#include "cache/entry_part.h"
#include "cache/model_for_test.h"
#include "codec/synthetic_weights.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "os/file.h"

namespace warmset {
namespace {

// A file as readers see it: a header, tensors of several dtypes, padding between.
class MixedFile {
 public:
  MixedFile() {
    content_.assign(104, 'h');
    AddWeights("large", DType::kBF16, 9000, 1024);  // more than one segment
    AddWeights("bias", DType::kF32, 1, 1000);
    content_ += "odd";
    std::string ids(8 * 5000, '\0');
    for (size_t i = 0; i < 5000; ++i) ids[8 * i] = static_cast<char>(i % 7);
    Add("ids", DType::kI64, std::move(ids));
    Add("blocks", DType::kQ4_0, std::string(18 * 100, 'q'));
    AddWeights("cast", DType::kF32, 256, 1024, DType::kBF16);
    content_ += "end";
  }

  ModelForTest Model() const { return ModelForTest(content_, tensors_); }
  const std::string& content() const { return content_; }

 private:
  void AddWeights(std::string name, DType dtype, size_t rows, size_t columns,
                  DType cast_from = DType::kInvalid) {
    const auto weights = codec::MakeSyntheticWeights(
        {.dtype = dtype, .cast_from = cast_from, .rows = rows, .columns = columns});
    Add(std::move(name), dtype,
        std::string(reinterpret_cast<const char*>(weights.data()), weights.size()));
  }
  void Add(std::string name, DType dtype, std::string bytes) {
    tensors_.push_back({.name = std::move(name),
                        .dtype = dtype,
                        .shape = {bytes.size() * 8 / std::max<uint64_t>(1, DTypeBits(dtype))},
                        .offset = content_.size(),
                        .bytes = bytes.size()});
    if (dtype == DType::kQ4_0) tensors_.back().shape = {bytes.size() / 18 * 32};
    content_ += bytes;
  }

  std::string content_;
  std::vector<TensorEntry> tensors_;
};

class CompressedEntryTest : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_EQ(budget_.Use().total(), ByteCount(0)); }

  std::unique_ptr<Entry> Load(const ModelForTest& model) {
    auto entry = LoadEntry({.component = model.component(),
                            .files = model.files(),
                            .known_digests = {},
                            .memory = MemoryFor(model.component()),
                            .progress = {},
                            .stop = {}});
    EXPECT_TRUE(entry.ok()) << entry.status();
    return *std::move(entry);
  }
  LoadMemory MemoryFor(const ComponentManifest& component) {
    LoadMemory memory;
    auto reservation = budget_.Reserve(MemoryKind::kLoading, EntryMemory(component));
    EXPECT_TRUE(reservation.ok()) << reservation.status();
    memory.reservation = *std::move(reservation);
    return memory;
  }
  StatusOr<std::unique_ptr<CompressedEntry>> Compress(const ModelForTest& model,
                                                      std::stop_token stop = {}) {
    const auto entry = Load(model);
    return CompressedEntry::Make(*entry, *budget_.Reserve(MemoryKind::kLoading, ByteCount(0)), stop);
  }

  Budget budget_{ByteCount(256 * kMiB)};
  const MixedFile file_;
};

std::string ContentOf(const Entry& entry) {
  std::string content(entry.bytes(), '\0');
  EXPECT_TRUE(
      os::ReadExactly(entry.data_fd(), std::as_writable_bytes(std::span(content)), 0).ok());
  return content;
}

TEST_F(CompressedEntryTest, GivesBackTheSameEntryFromLessMemory) {
  const ModelForTest model = file_.Model();
  const auto compressed = Compress(model);
  ASSERT_TRUE(compressed.ok()) << compressed.status();
  EXPECT_LT((*compressed)->bytes(), (*compressed)->raw_bytes() * 7 / 10);
  EXPECT_EQ(budget_.Use().compressed, (*compressed)->memory());
  EXPECT_EQ(budget_.Use().total(), (*compressed)->memory());

  const std::unique_ptr<Entry> original = Load(model);
  for (const unsigned threads : {1U, 3U}) {
    const auto decoded = (*compressed)->Decode(model.component().id,
                                               MemoryFor(model.component()), threads);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(ContentOf(**decoded), file_.content());
    EXPECT_EQ((*decoded)->content(), original->content());
    EXPECT_EQ((*decoded)->chunks(), original->chunks());
    EXPECT_EQ((*decoded)->component(), model.component().id);
    EXPECT_EQ((*decoded)->load_time(), (*compressed)->load_time());
  }
}

TEST_F(CompressedEntryTest, TellsWhatEachDtypeTakes) {
  const ModelForTest model = file_.Model();
  const auto compressed = Compress(model);
  ASSERT_TRUE(compressed.ok()) << compressed.status();
  const auto& shares = (*compressed)->shares();
  ASSERT_EQ(shares.size(), 5U);
  const auto ratio = [&](DType dtype) {
    const CompressedEntry::Share& share = shares.at(dtype);
    return static_cast<double>(share.raw_bytes) / static_cast<double>(share.compressed_bytes);
  };
  EXPECT_EQ(shares.at(DType::kBF16).raw_bytes, 9000U * 1024 * 2);
  EXPECT_GT(ratio(DType::kBF16), 1.45);
  EXPECT_GT(ratio(DType::kF32), 2.5);  // almost all of it was cast
  EXPECT_GT(ratio(DType::kI64), 3);    // by zstd
  EXPECT_GT(ratio(DType::kQ4_0), 3);   // blocks that are all alike
  EXPECT_EQ(shares.at(DType::kInvalid).raw_bytes, 110U);
}

TEST_F(CompressedEntryTest, DecodesAnyRange) {
  const ModelForTest model = file_.Model();
  const auto compressed = Compress(model);
  ASSERT_TRUE(compressed.ok()) << compressed.status();
  std::mt19937_64 random(1);
  const std::string& content = file_.content();
  for (int i = 0; i < 200; ++i) {
    const uint64_t begin = random() % content.size();
    const uint64_t most = i % 2 == 0 ? 1000 : content.size();
    std::string part(std::min(random() % most, content.size() - begin), '\0');
    ASSERT_TRUE((*compressed)->DecodeRange(begin, std::as_writable_bytes(std::span(part))).ok());
    ASSERT_EQ(part, content.substr(begin, part.size())) << begin;
  }
}

TEST_F(CompressedEntryTest, AnEmptyComponentIsNothing) {
  const ModelForTest model(std::string(), {});
  const auto compressed = Compress(model);
  ASSERT_TRUE(compressed.ok()) << compressed.status();
  EXPECT_EQ((*compressed)->bytes(), 0U);
  const auto decoded = (*compressed)->Decode(model.component().id,
                                             MemoryFor(model.component()), 2);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ((*decoded)->bytes(), 0U);
}

TEST_F(CompressedEntryTest, NoMemoryAndStopsLeaveNothing) {
  const ModelForTest model = file_.Model();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(CodeOf(Compress(model, stop.get_token()).status()), ErrorCode::kCancelled);

  const auto entry = Load(model);
  budget_.SetLimit(budget_.Use().total() + ByteCount(4 * kMiB));
  const auto compressed =
      CompressedEntry::Make(*entry, *budget_.Reserve(MemoryKind::kLoading, ByteCount(0)), {});
  EXPECT_EQ(CodeOf(compressed.status()), ErrorCode::kRamLimitExceeded);
  EXPECT_EQ(budget_.Use().loading, ByteCount(0));
}

TEST_F(CompressedEntryTest, SomeTensorsAreDecodedIntoAnEntryOfTheirOwn) {
  const ModelForTest model = file_.Model();
  const auto compressed = Compress(model);
  ASSERT_TRUE(compressed.ok()) << compressed.status();
  const std::vector<std::string> names = {"ids", "bias", "ids"};
  const auto part = SelectTensors((*compressed)->component(), names);
  ASSERT_TRUE(part.ok()) << part.status();
  EXPECT_EQ(part->component.entry_bytes, 4032u + 40'000u);  // 4000 bytes, at 64 the next
  const auto entry = DecodePart(**compressed, *part, MemoryFor(part->component));
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ((*entry)->memory(), EntryMemory(part->component));

  const std::string content = ContentOf(**entry);
  const auto whole = *TensorIndex::Parse(AsBytes(model.component().tensor_index));
  const auto index = *TensorIndex::Parse(AsBytes(part->component.tensor_index));
  ASSERT_EQ(index.tensor_count(), 2u);
  for (uint64_t i = 0; i < index.tensor_count(); ++i) {
    const TensorEntry tensor = index.tensor(i);
    const TensorEntry original = whole.tensor(i + 1);  // "large" comes before them
    EXPECT_EQ(tensor.name, original.name);
    EXPECT_EQ(tensor.shape, original.shape);
    EXPECT_EQ(content.substr(tensor.offset, tensor.bytes),
              file_.content().substr(original.offset, original.bytes));
  }
}

TEST_F(CompressedEntryTest, ATensorThatIsNotThereIsNamed) {
  const ModelForTest model = file_.Model();
  const std::vector<std::string> names = {"bias", "weights"};
  const Status status = SelectTensors(model.component(), names).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kTensorNotFound);
  EXPECT_THAT(std::string(Message(status)), testing::HasSubstr("'weights'"));
}

}  // namespace
}  // namespace warmset
