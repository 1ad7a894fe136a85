#include "inspect/identify/hash_index.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<int> ValuesOf(const HashIndex<int>& index, uint64_t hash) {
  std::vector<int> values;
  for (const auto& entry : index.Find(hash)) values.push_back(entry.value);
  return values;
}

TEST(HashIndexTest, FindsAllValuesOfAHash) {
  constexpr uint64_t kHigh = uint64_t{7} << 60;  // another bucket
  HashIndex<int> index;
  index.Add(5, 2);
  index.Add(kHigh, 9);
  index.Add(6, 3);
  index.Add(5, 1);
  index.Add(5, 2);
  index.Sort([](int a, int b) { return a == b; });
  EXPECT_THAT(ValuesOf(index, 5), ElementsAre(1, 2));
  EXPECT_THAT(ValuesOf(index, 6), ElementsAre(3));
  EXPECT_THAT(ValuesOf(index, kHigh), ElementsAre(9));
  EXPECT_THAT(ValuesOf(index, 4), IsEmpty());
  EXPECT_THAT(ValuesOf(index, ~uint64_t{0}), IsEmpty());
}

TEST(HashIndexTest, MayBeEmpty) {
  HashIndex<int> index;
  index.Sort([](int, int) { return false; });
  EXPECT_THAT(ValuesOf(index, 0), IsEmpty());
}

}  // namespace
}  // namespace warmset
