#include "client/tensor_table.h"

#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tensor/tensor_index.h"

namespace warmset::inline client_v1::client_internal {
namespace {

constexpr uint64_t kMemoryBytes = 1000;

std::vector<TensorEntry> SampleTensors() {
  return {{"a.weight", DType::kBF16, {2, 3}, 0, 12},
          {"a.bias", DType::kF4, {4}, 500, 2},
          {"scalar", DType::kF64, {}, 992, 8},
          {"empty", DType::kF32, {uint64_t{1} << 62, 8, 0}, 1000, 0},
          {"blocks", DType::kQ4_K, {2, 256}, 0, 288}};
}

std::string SampleIndex() {
  return EncodeTensorIndex(SampleTensors(), {{"format", "pt"}, {"", "x"}}, kMemoryBytes);
}

std::vector<std::byte> BytesOf(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

TEST(TensorTable, ReadsWhatTheDaemonWrites) {
  TensorTable table;
  const auto error = table.Read(BytesOf(SampleIndex()), kMemoryBytes);
  ASSERT_FALSE(error) << error->message;
  const auto expected = SampleTensors();
  ASSERT_EQ(table.records().size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const TensorRecord& record = table.records()[i];
    EXPECT_EQ(record.name, expected[i].name);
    EXPECT_EQ(record.dtype, expected[i].dtype);
    EXPECT_EQ(std::vector(record.shape.begin(), record.shape.end()), expected[i].shape);
    EXPECT_EQ(record.offset, expected[i].offset);
    EXPECT_EQ(record.bytes, expected[i].bytes);
    EXPECT_EQ(table.Find(record.name), &record);
  }
  EXPECT_EQ(table.Find("b"), nullptr);
  EXPECT_EQ(table.metadata(), (std::map<std::string, std::string>{{"", "x"}, {"format", "pt"}}));
}

TEST(TensorTable, ThreadsMaySearchAtOnce) {
  TensorTable table;
  ASSERT_FALSE(table.Read(BytesOf(SampleIndex()), kMemoryBytes));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { EXPECT_EQ(table.Find("scalar"), &table.records()[2]); });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(TensorTable, RefusesAnIndexOfOtherMemory) {
  TensorTable table;
  const auto error = table.Read(BytesOf(SampleIndex()), kMemoryBytes - 1);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, "corrupted_model");
}

TEST(TensorTable, RefusesEveryTruncation) {
  const std::string whole = SampleIndex();
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    TensorTable table;
    EXPECT_TRUE(table.Read(BytesOf(whole.substr(0, cut)), kMemoryBytes)) << cut;
  }
}

// The two readers of the format must agree on every blob, and what is accepted
// must be inside the memory.
TEST(TensorTable, AgreesWithTheDaemonsReaderOnDamagedIndexes) {
  const std::string whole = SampleIndex();
  std::mt19937 random(2);  // NOLINT: the same damage each time
  const uint64_t values[] = {0, 1, 7, 64, 255, 1000, 0xFFFFFFFF, uint64_t{1} << 63, ~uint64_t{0}};
  int accepted = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string damaged = whole;
    const uint64_t value = values[random() % std::size(values)];
    const size_t width = size_t{1} << random() % 4;
    const size_t at = random() % (damaged.size() - width);
    std::memcpy(damaged.data() + at, &value, width);
    const auto blob = BytesOf(damaged);
    TensorTable table;
    const bool ours = !table.Read(blob, kMemoryBytes).has_value();
    const auto theirs = TensorIndex::Parse(blob);
    EXPECT_EQ(ours, theirs.ok() && theirs->data_bytes() <= kMemoryBytes)
        << value << " of " << width << " bytes at " << at;
    if (!ours) continue;
    ++accepted;
    for (const TensorRecord& record : table.records()) {
      ASSERT_LE(record.offset, kMemoryBytes);
      ASSERT_LE(record.bytes, kMemoryBytes - record.offset);
    }
  }
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace warmset::inline client_v1::client_internal
