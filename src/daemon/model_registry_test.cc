#include "daemon/model_registry.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;

class ModelRegistryTest : public testing::Test {
 protected:
  Model& Add(const std::string& name, uint64_t inode = 0) {
    ModelSummary summary;
    summary.id = DigestOf<ModelId>(AsBytes(name));
    summary.name = name;
    summary.files = {{.path = name, .identity = {.device = 1, .inode = inode}, .claimed_hash = ""}};
    summary.components = {{.name = "model",
                           .type = "model",
                           .id = DigestOf<ComponentId>(AsBytes("shared")),
                           .entry_bytes = 1,
                           .tensor_count = 1}};
    return registry_.Put(summary);
  }
  std::string Found(std::string_view text) {
    const auto model = registry_.Find(text);
    return model.ok() ? (*model)->summary.name : std::string(ErrorCodeName(CodeOf(model.status())));
  }

  ModelRegistry registry_;
};

TEST_F(ModelRegistryTest, FindsWhatAUserTypes) {
  Add("stabilityai/sdxl");
  Add("stabilityai/sdxl-turbo");
  Add("silero_vad.safetensors");
  EXPECT_EQ(Found("stabilityai/sdxl"), "stabilityai/sdxl");  // exact beats prefix
  EXPECT_EQ(Found("sdxl"), "stabilityai/sdxl");              // a whole last part beats a prefix
  EXPECT_EQ(Found("sdxl-t"), "stabilityai/sdxl-turbo");
  EXPECT_EQ(Found("silero-vad"), "silero_vad.safetensors");
  EXPECT_EQ(Found("Silero"), "silero_vad.safetensors");
  const ModelId id = (*registry_.Find("silero"))->summary.id;
  EXPECT_EQ(Found(id.Hex().substr(0, 12)), "silero_vad.safetensors");
}

TEST_F(ModelRegistryTest, AnAmbiguousNameListsTheCandidates) {
  Add("a/flux-dev");
  Add("a/flux-schnell");
  const Status status = registry_.Find("flux").status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kAmbiguousName);
  EXPECT_THAT(CandidatesOf(status), ElementsAre("a/flux-dev", "a/flux-schnell"));
}

TEST_F(ModelRegistryTest, NamesThatCanNotBe) {
  for (const std::string& name :
       {std::string(), std::string("a\nb"), std::string(600, 'a'), std::string("\x1b[2J")}) {
    EXPECT_EQ(CodeOf(registry_.Find(name).status()), ErrorCode::kInvalidName) << name.size();
  }
  EXPECT_EQ(Found("../../etc/passwd"), "model_not_found");
}

TEST_F(ModelRegistryTest, FindsAModelByItsFile) {
  Add("a", 7);
  const auto found = registry_.FindByFile({.device = 1, .inode = 7});
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->first->summary.name, "a");
  EXPECT_EQ(found->second, 0u);
  EXPECT_FALSE(registry_.FindByFile({.device = 2, .inode = 7}).has_value());
}

TEST_F(ModelRegistryTest, WhatIsRemovedIsNowhere) {
  const Model& a = Add("a", 7);
  const ComponentId component = a.summary.components[0].id;
  Add("b", 8);
  EXPECT_EQ(registry_.UsersOf(component).size(), 2u);
  registry_.Remove(a.summary.id);
  EXPECT_EQ(registry_.UsersOf(component).size(), 1u);
  EXPECT_EQ(Found("a"), "model_not_found");
  EXPECT_FALSE(registry_.FindByFile({.device = 1, .inode = 7}).has_value());
}

TEST_F(ModelRegistryTest, ANewRevisionKeepsWhenItWasUsed) {
  Add("a", 7).last_used_unix_ms = 42;
  Model& now = Add("a", 9);
  EXPECT_EQ(now.last_used_unix_ms, 42);
  EXPECT_FALSE(registry_.FindByFile({.device = 1, .inode = 7}).has_value());
  EXPECT_EQ(registry_.size(), 1u);
}

TEST_F(ModelRegistryTest, WhatTheUserSaysHoldsForLaterRevisions) {
  ModelSummary summary;
  summary.id = DigestOf<ModelId>(AsBytes("m"));
  summary.name = "m";
  summary.model_kind = "checkpoint";
  summary.architecture = "sd1";
  registry_.SetOverride(summary.id, {.kind = "lora", .architecture = ""});  // before it is there
  const Model& model = registry_.Put(summary);
  EXPECT_EQ(model.summary.model_kind, "lora");
  EXPECT_EQ(model.identified_kind, "checkpoint");
  EXPECT_EQ(model.summary.architecture, "sd1");
  registry_.Remove(summary.id);
  summary.model_kind = "vae";
  const Model& later = registry_.Put(summary);
  EXPECT_EQ(later.summary.model_kind, "lora");
  registry_.SetOverride(summary.id, {});
  EXPECT_EQ(later.summary.model_kind, "vae");
}

}  // namespace
}  // namespace warmset
