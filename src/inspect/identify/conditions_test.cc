#include "inspect/identify/conditions.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ConditionsTest : public testing::Test {
 protected:
  void SetUp() override {
    Add("conv_in.weight", {320, 4, 3, 3});
    Add("conv_in.bias", {320});
    Add("blocks.3.attn.to_k.weight", {640, 2048});
    Add("scalar", {});
  }
  void Add(std::string_view name, std::vector<uint64_t> shape) {
    ASSERT_TRUE(tensors_.Add({.name = name, .shape = shape, .strides = {}}).ok());
  }

  bool Holds(std::string_view text) {
    evidence_.clear();
    ConditionSet conditions;
    const auto condition = conditions.Parse(text);
    EXPECT_TRUE(condition.ok()) << condition.status();
    TermHits hits = conditions.NoHits();
    for (size_t i = 0; i < tensors_.size(); ++i) {
      const TensorView tensor = tensors_[i];
      conditions.Look(tensor.name, tensor.shape, tensor, hits);
      ++hits.tensors;
    }
    const TermHits* const groups[] = {&hits};
    return conditions.Holds(*condition, groups, {&metadata_, "Some-XL.safetensors"}, evidence_);
  }

  TensorTable tensors_;
  std::map<std::string, std::string> metadata_ = {{"general.architecture", "Flux"}, {"empty", ""}};
  std::vector<std::string> evidence_;
};

TEST_F(ConditionsTest, Terms) {
  for (const char* holds :
       {"conv_in.weight", "conv_in.weight[1]=4", "conv_in.weight[1]=8|4", "conv_in.weight[-4]=320",
        "conv_in.weight[rank]=4", "scalar[rank]=0", "blocks.#.*.to_k.weight[-1]=2048",
        "{absent,conv_in}.bias", "!absent", "!conv_in.weight[1]=9", "tensors=4", "tensors<5",
        "!tensors<4", "@general.architecture=flux", "@name=*xl*", "!@absent=*", "!@empty=*", "",
        "  conv_in.weight   conv_in.bias "}) {
    EXPECT_TRUE(Holds(holds)) << holds;
  }
  for (const char* fails :
       {"absent", "conv_in.weight[1]=9", "conv_in.weight[7]=4", "conv_in.weight[-5]=320",
        "scalar[0]=1", "scalar[-1]=1", "!conv_in.weight", "conv_in.weight absent", "tensors=3",
        "tensors<4", "@general.architecture=flu", "@name=*turbo*"}) {
    EXPECT_FALSE(Holds(fails)) << fails;
  }
}

TEST_F(ConditionsTest, EvidenceNamesKeysShapesAndValues) {
  ASSERT_TRUE(Holds("conv_in.weight[1]=4 !absent @general.architecture=flux tensors<9 scalar"));
  EXPECT_THAT(evidence_, ElementsAre("conv_in.weight [320, 4, 3, 3]",
                                     "general.architecture is Flux", "4 tensors", "scalar []"));
}

TEST_F(ConditionsTest, NamesOfStrangersAreNotPrinted) {
  Add("x.\x1b[31m", {1});
  ASSERT_TRUE(Holds("x.*"));
  EXPECT_THAT(evidence_, ElementsAre("? [1]"));
}

TEST_F(ConditionsTest, LongNamesMatchNothing) {
  Add(std::string(kMaxMatchedName, 'y'), {1});
  EXPECT_TRUE(Holds("y*"));
  Add(std::string(kMaxMatchedName + 1, 'z'), {1});
  EXPECT_FALSE(Holds("z*"));
}

TEST_F(ConditionsTest, WhatIsNoConditionIsRefused) {
  for (const char* text : {"w[1]", "w[1]=", "w[1]=4|", "w[1]=x", "w[one]=1", "w=4", "[1]=4",
                           "tensors=x", "@key", "!", "{,a}"}) {
    ConditionSet conditions;
    const auto condition = conditions.Parse(text);
    ASSERT_FALSE(condition.ok()) << text;
    EXPECT_EQ(CodeOf(condition.status()), ErrorCode::kInvalidRequest);
    EXPECT_THAT(std::string(Message(condition.status())), HasSubstr("is no condition"));
  }
}

}  // namespace
}  // namespace warmset
