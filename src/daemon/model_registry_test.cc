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
                           .tensor_count = 1,
                           .files = {}}};
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

TEST_F(ModelRegistryTest, AnExactStemWinsOverLongerNames) {
  Add("sd_xl_base_1.0.safetensors");
  Add("sd_xl_base_1.0_0.9vae.safetensors");
  EXPECT_EQ(Found("sd_xl_base_1.0"), "sd_xl_base_1.0.safetensors");
  EXPECT_EQ(Found("SD-XL-base-1.0"), "sd_xl_base_1.0.safetensors");
  EXPECT_EQ(Found("sd_xl_base"), "ambiguous_name");
  const std::string digits = (*registry_.Find("sd_xl_base_1.0"))->summary.id.Hex().substr(0, 6);
  EXPECT_EQ(Found(digits), "sd_xl_base_1.0.safetensors");
  Add(digits + ".gguf");  // a name that looks like an id
  EXPECT_EQ(Found(digits), digits + ".gguf");
}

TEST_F(ModelRegistryTest, AMistypedNameComesWithSimilarOnes) {
  Add("sd_xl_base_1.0.safetensors");
  Add("flux.safetensors");
  const auto similar = [&](std::string_view text) {
    return CandidatesOf(registry_.Find(text).status());
  };
  EXPECT_THAT(similar("sd_xl_bsae"), ElementsAre("sd_xl_base_1.0.safetensors"));
  EXPECT_THAT(similar("flxu"), ElementsAre("flux.safetensors"));
  EXPECT_EQ(Found("flxu"), "model_not_found");
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

// An inode is used again: the model that has the file in this state goes first.
TEST_F(ModelRegistryTest, AReusedInodeFindsTheModelThatHasItNow) {
  Add("earlier", 7).summary.files[0].identity.mtime_ns = 1;
  ModelSummary now;
  now.id = DigestOf<ModelId>(AsBytes("now"));
  now.name = "now";
  now.files = {{.path = "now",
                .identity = {.device = 1, .inode = 7, .size = 0, .mtime_ns = 2, .ctime_ns = 2},
                .claimed_hash = ""}};
  registry_.PutAdHoc(now);
  EXPECT_EQ(registry_.FindByFile(now.files[0].identity)->first->summary.name, "now");
  // In another state, the library's model is the likelier one.
  EXPECT_EQ(registry_.FindByFile({.device = 1, .inode = 7})->first->summary.name, "earlier");
  registry_.Remove(now.id);
  EXPECT_EQ(registry_.FindByFile(now.files[0].identity)->first->summary.name, "earlier");
  EXPECT_TRUE(registry_.AdHoc().empty());
}

TEST_F(ModelRegistryTest, FindsAModelByThePathOfAFile) {
  ModelSummary summary;
  summary.id = DigestOf<ModelId>(AsBytes("m"));
  summary.name = "m";
  summary.folder = "/models/m";
  summary.files = {{.path = "a.safetensors", .identity = {}, .claimed_hash = ""},
                   {.path = "b.safetensors", .identity = {}, .claimed_hash = ""}};
  registry_.Put(summary);
  const auto found = registry_.FindByPath("/models/m/b.safetensors");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->second, 1u);
  EXPECT_FALSE(registry_.FindByPath("/models/m").has_value());
  registry_.Remove(summary.id);
  EXPECT_FALSE(registry_.FindByPath("/models/m/b.safetensors").has_value());
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

TEST_F(ModelRegistryTest, ANameMayMoveToAnotherModelFirst) {
  const ModelId first = Add("a-name-that-is-not-short", 7).summary.id;
  ModelSummary other = registry_.Find(first)->summary;
  other.id = DigestOf<ModelId>(AsBytes("other"));
  const ModelId second = registry_.Put(other).summary.id;
  registry_.Remove(first);
  EXPECT_EQ((*registry_.Find("a-name-that-is-not-short"))->summary.id, second);
}

TEST_F(ModelRegistryTest, AModelThatComesBackWasUsedWhenItWasUsed) {
  Model& model = Add("a", 7);
  model.last_used_unix_ms = 42;
  registry_.Remove(model.summary.id);
  EXPECT_EQ(Add("a", 8).last_used_unix_ms, 42);
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
  EXPECT_EQ(model.identified->kind, "checkpoint");
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
