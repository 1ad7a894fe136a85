#include "discover/names.h"

#include <algorithm>
#include <map>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;

NameRequest Request(std::string_view base, std::string_view parent) {
  return {base, parent, DigestOf<ModelId>(AsBytes(std::string(parent) + "\n" + std::string(base)))};
}

TEST(NamesTest, OnlyNamesakesGetFolders) {
  const std::vector<NameRequest> requests = {Request("a", "/m"), Request("b", "/m/x"),
                                             Request("b", "/m/y"), Request("b", "/n/y")};
  EXPECT_THAT(UniqueNames(requests, {}), ElementsAre("a", "x/b", "m/y/b", "n/y/b"));
}

TEST(NamesTest, NamesInUseStayWhatTheyAre) {
  const std::vector<NameRequest> requests = {Request("a", "/m")};
  EXPECT_THAT(UniqueNames(requests, {"a"}), ElementsAre("m/a"));
}

TEST(NamesTest, WhatNoFolderTellsApartIsToldByItsId) {
  NameRequest one = Request("org/name", "/hub");
  NameRequest other = Request("name", "/hub/org");
  other.base = "org/name";
  other.parent = "/hub";
  const auto names = UniqueNames(std::vector{one, other}, {});
  EXPECT_NE(names[0], names[1]);
  EXPECT_EQ(names[0], "hub/org/name~" + one.id.Hex().substr(0, 8));
}

TEST(NamesTest, LongNamesAreCutAtACharacter) {
  std::string base = "a";
  for (int i = 0; i < 150; ++i) base += "\u00e9";
  const NameRequest request = Request(base, "/m");
  const std::string name = UniqueNames(std::vector{request}, {})[0];
  EXPECT_LE(name.size(), kMaxModelNameBytes);
  EXPECT_EQ(name.size() % 2, 0u);  // "a", whole characters, nine for the id
  EXPECT_EQ(name.substr(name.size() - 8), request.id.Hex().substr(0, 8));
}

TEST(NamesTest, TheOrderDoesNotMatter) {
  const std::vector<std::string> parents = {"/a/b", "/a/c", "/d/b", "/d", "/d/b/a/c"};
  std::vector<NameRequest> requests;
  for (const std::string& parent : parents) {
    for (const char* base : {"x", "b/x", "y"}) requests.push_back(Request(base, parent));
  }
  std::map<ModelId, std::string> expected;
  const auto names = UniqueNames(requests, {});
  for (size_t i = 0; i < names.size(); ++i) expected[requests[i].id] = names[i];
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(requests.begin(), requests.end(), random);
    const auto shuffled = UniqueNames(requests, {});
    EXPECT_EQ(std::set<std::string>(shuffled.begin(), shuffled.end()).size(), requests.size());
    for (size_t i = 0; i < shuffled.size(); ++i) EXPECT_EQ(shuffled[i], expected[requests[i].id]);
  }
}

}  // namespace
}  // namespace warmset
