#include "daemon/admission.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Finding Problem(Verdict verdict, FindingCategory category, std::string path,
                std::string message) {
  return {.path = std::move(path),
          .verdict = verdict,
          .category = category,
          .message = std::move(message)};
}

// A pipeline whose VAE is not there, and a tensor of whose UNet can't be mapped.
Manifest Pipeline() {
  Manifest manifest;
  manifest.layout = ModelLayout::kDiffusers;
  manifest.components.emplace_back().name = "unet.fp16";
  manifest.findings = {
      Problem(Verdict::kOk, FindingCategory::kFileCorruption, "odd", "a warning"),
      Problem(Verdict::kIncomplete, FindingCategory::kFileCorruption, "vae/a.safetensors",
              "a pointer"),
      Problem(Verdict::kIncomplete, FindingCategory::kFileCorruption, "vae/b.safetensors",
              "a pointer"),
      Problem(Verdict::kIncomplete, FindingCategory::kFileCorruption, "unet/c.safetensors",
              "a pointer"),
  };
  manifest.unplaced = {
      {.name = "turned", .dtype = DType::kF32, .shape = {2, 2}, .strides = {1, 2}},
      {.name = "packed", .dtype = DType::kI64, .shape = {2}, .strides = {}}};
  return manifest;
}

TEST(AdmissionTest, TheWorstReasonsComeFirst) {
  Manifest manifest = Pipeline();
  manifest.findings.push_back(
      Problem(Verdict::kUnsafe, FindingCategory::kUnsafeContent, "a.pt", "it calls os.system"));
  const Status refusal = RefusalOf(manifest, "warmset show sd");
  EXPECT_EQ(CodeOf(refusal), ErrorCode::kUnsafeModel);
  EXPECT_THAT(std::string(Message(refusal)),
              HasSubstr("unsafe, can't be used: a.pt: it calls os.system; incomplete: "
                        "vae/a.safetensors: a pointer; "));
  EXPECT_THAT(std::string(Message(refusal)), HasSubstr("and 1 more; `warmset show sd` says more"));
  EXPECT_THAT(std::string(Message(refusal)), HasSubstr("--force"));
  EXPECT_THAT(std::string(Message(refusal)), Not(HasSubstr("a warning")));
}

TEST(AdmissionTest, TheCodeIsTheVerdicts) {
  for (const auto& [verdict, code] : {std::pair(Verdict::kIncomplete, ErrorCode::kIncompleteModel),
                                      {Verdict::kUnsafe, ErrorCode::kUnsafeModel},
                                      {Verdict::kRestricted, ErrorCode::kAccessRestricted},
                                      {Verdict::kUnsupported, ErrorCode::kUnsupportedFormat},
                                      {Verdict::kUnrecognized, ErrorCode::kUnrecognizedFormat}}) {
    Manifest manifest;
    manifest.findings = {Problem(verdict, FindingCategory::kFormatVersion, "", "why")};
    EXPECT_EQ(CodeOf(RefusalOf(manifest, "")), code);
    EXPECT_EQ(CodeOf(NothingToUse(manifest, "")), code);
  }
}

TEST(AdmissionTest, AFileIsNamedOnce) {
  Manifest manifest;
  manifest.files.resize(2);
  manifest.findings = {Problem(Verdict::kIncomplete, FindingCategory::kFileCorruption, "m-2",
                               "m-2 is named but not there")};
  EXPECT_THAT(std::string(Message(RefusalOf(manifest, "show m"))),
              HasSubstr("can't be used: m-2 is named but not there; "));
}

TEST(AdmissionTest, ACorruptModelHasACodeOfItsOwn) {
  Manifest manifest;
  manifest.findings = {
      Problem(Verdict::kCorrupt, FindingCategory::kFileCorruption, "", "it is damaged")};
  EXPECT_EQ(CodeOf(RefusalOf(manifest, "")), ErrorCode::kCorruptedModel);
  EXPECT_THAT(std::string(Message(RefusalOf(manifest, ""))), Not(HasSubstr("--force")));
  EXPECT_EQ(CodeOf(NothingToUse(manifest, "")), ErrorCode::kCorruptedModel);
}

TEST(AdmissionTest, AnIncompleteModelIsIncompleteFromVerdictToCode) {
  EXPECT_EQ(CodeOf(RefusalOf(Pipeline(), "")), ErrorCode::kIncompleteModel);
  EXPECT_EQ(CodeOf(NothingToUse(Pipeline(), "")), ErrorCode::kIncompleteModel);
}

TEST(AdmissionTest, AModelWithoutAPlainTensorIsIncompatible) {
  Manifest manifest = Pipeline();
  manifest.findings.clear();
  const Status nothing = NothingToUse(manifest, "warmset show m");
  EXPECT_EQ(CodeOf(nothing), ErrorCode::kIncompatibleModel);
  EXPECT_THAT(std::string(Message(nothing)), HasSubstr("none of its 2 tensors"));
}

TEST(AdmissionTest, WhatIsSkippedIsNamedOnce) {
  const SkippedParts skipped = SkippedOf(Pipeline());
  std::vector<std::string> parts;
  for (const Skipped& part : skipped.parts) {
    parts.push_back(std::string(part.what) + " " + part.name);
  }
  EXPECT_THAT(parts, ElementsAre("file odd", "file vae/a.safetensors", "component vae",
                                 "file vae/b.safetensors", "file unet/c.safetensors",
                                 "tensor turned", "tensor packed"));
  EXPECT_EQ(skipped.total, parts.size());
  EXPECT_THAT(skipped.parts[5].reason, HasSubstr("strides [1, 2]"));
  EXPECT_THAT(skipped.parts[6].reason, HasSubstr("not stored as plain bytes"));
}

TEST(AdmissionTest, AMillionSkippedTensorsAreCounted) {
  Manifest manifest;
  manifest.unplaced.resize(1'000'000);
  const SkippedParts skipped = SkippedOf(manifest);
  EXPECT_EQ(skipped.total, 1'000'000u);
  EXPECT_EQ(skipped.parts.size(), kMaxSkippedParts);
}

}  // namespace
}  // namespace warmset
