#include "inspect/onnx/runtime_profiles.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::HasSubstr;

std::vector<Finding> Check(std::string_view domain, std::string_view name, uint64_t opset,
                           std::string_view profile = kDefaultProfile) {
  const OperatorUse use{std::string(domain), std::string(name), opset, 1};
  return CheckOperators({&use, 1}, profile);
}

TEST(RuntimeProfilesTest, OperatorsOfTheStandardAtTheirVersions) {
  EXPECT_TRUE(Check("", "Add", 1).empty());
  EXPECT_TRUE(Check("", "Gelu", 20).empty());
  EXPECT_TRUE(Check("", "Upsample", 9).empty());
  EXPECT_TRUE(Check("ai.onnx.ml", "Scaler", 1).empty());
  EXPECT_TRUE(Check("ai.onnx.preview.training", "Adam", 1).empty());
}

struct Missing {
  std::string_view domain;
  std::string_view name;
  uint64_t opset;
  std::string_view profile;
  std::string_view why;
};

class MissingOperator : public testing::TestWithParam<Missing> {};

TEST_P(MissingOperator, IsNamedWithItsReason) {
  const Missing& missing = GetParam();
  const auto findings = Check(missing.domain, missing.name, missing.opset, missing.profile);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].verdict, Verdict::kUnsupported);
  EXPECT_EQ(findings[0].category, FindingCategory::kUnsupportedOperations);
  EXPECT_THAT(findings[0].message, HasSubstr(std::string(missing.name)));
  EXPECT_THAT(findings[0].message, HasSubstr(std::string(missing.why)));
}

INSTANTIATE_TEST_SUITE_P(
    , MissingOperator,
    testing::Values(Missing{"", "Gelu", 19, "onnxruntime", "exists since version 20"},
                    Missing{"", "Upsample", 10, "onnxruntime", "taken away in version 10"},
                    Missing{"", "NoSuchOperator", 17, "onnxruntime", "neither the standard"},
                    Missing{"", "Affine", 13, "onnxruntime", "taken away in version 10"},
                    Missing{"", "SimplifiedLayerNormalization", 17, "onnx", "neither"},
                    Missing{"ai.onnx.ml", "TreeEnsemble", 4, "onnxruntime", "since version 5"},
                    Missing{"com.microsoft", "NoSuchOperator", 1, "onnxruntime",
                            "custom operators"},
                    Missing{"com.microsoft", "FusedMatMul", 1, "onnx", "custom operators"},
                    Missing{"com.example", "Op", 1, "onnxruntime", "custom operators"},
                    Missing{"ai.onnx.contrib", "BertTokenizer", 1, "onnxruntime", "custom"}));

TEST(RuntimeProfilesTest, WhatOnlyOneRuntimeHasIsAWarning) {
  const auto findings = Check("com.microsoft", "FusedMatMul", 1);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].verdict, Verdict::kOk);
  EXPECT_THAT(findings[0].message, HasSubstr("com.microsoft"));
}

// Tried with onnx 1.23 and ONNX Runtime 1.32.
TEST(RuntimeProfilesTest, AVersionThatIsDeprecatedFromItsStartRunsInOnnxRuntime) {
  for (const uint64_t opset : {uint64_t{18}, uint64_t{20}}) {
    const auto findings = Check("", "GroupNormalization", opset);
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].verdict, Verdict::kOk);
    EXPECT_THAT(findings[0].message, HasSubstr("the standard deprecates this version"));
    EXPECT_EQ(Check("", "GroupNormalization", opset, "onnx")[0].verdict, Verdict::kUnsupported);
  }
  EXPECT_TRUE(Check("", "GroupNormalization", 21).empty());
  EXPECT_THAT(Check("", "GroupNormalization", 17)[0].message, HasSubstr("since version 18"));
  for (const auto& [domain, name, opset] : {std::tuple{"", "Scatter", 11},
                                            {"", "Upsample", 10},
                                            {"ai.onnx.ml", "TreeEnsembleClassifier", 5}}) {
    const auto findings = Check(domain, name, static_cast<uint64_t>(opset));
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].verdict, Verdict::kUnsupported) << name;
  }
}

TEST(RuntimeProfilesTest, AnUnknownProfileIsTheStandard) {
  EXPECT_TRUE(Check("", "Add", 17, "other").empty());
  EXPECT_EQ(Check("com.microsoft", "FusedMatMul", 1, "other").size(), 1u);
}

TEST(RuntimeProfilesTest, AVersionThatIsNotKnownIsNoMatterOfOperators) {
  EXPECT_TRUE(Check("", "NoSuchOperator", 29).empty());
}

TEST(RuntimeProfilesTest, ManyFindingsAreCutOffAndCounted) {
  std::vector<OperatorUse> uses;
  for (int i = 0; i < 15; ++i) uses.push_back({"com.example", "Op" + std::to_string(i), 1, 1});
  const auto findings = CheckOperators(uses, kDefaultProfile);
  ASSERT_EQ(findings.size(), 10u);
  EXPECT_THAT(findings.back().message, HasSubstr("5 more"));
}

TEST(RuntimeProfilesTest, ProfilesHaveNames) {
  for (const RuntimeProfile& profile : RuntimeProfiles()) {
    EXPECT_EQ(FindRuntimeProfile(profile.name), &profile);
  }
  EXPECT_EQ(FindRuntimeProfile("other"), nullptr);
}

}  // namespace
}  // namespace warmset
