#include "discover/comfyui_paths.h"

#include "discover/tree_for_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

StatusOr<std::vector<ComfyUiFolder>> Parse(std::string_view yaml) {
  return ParseComfyUiPaths(yaml, "/etc/comfy", "/home/me");
}

TEST(ComfyUiPathsTest, AFileAsItIsInUse) {
  const auto folders = Parse(R"(# Rename this to extra_model_paths.yaml
a111:
    base_path: path/to/stable-diffusion-webui/

    checkpoints: models/Stable-diffusion
    configs: models/Stable-diffusion
    loras: |
         models/Lora
         models/LyCORIS
    upscale_models: |
                  models/ESRGAN
                  models/RealESRGAN
    #  embeddings: embeddings
    controlnet: models/ControlNet   # with a comment

comfyui:
     base_path: "~/ComfyUI"
     is_default: true
     unet: models/unet/
     clip: 'models/clip #1'
     vae: /srv/vae
     custom_nodes: custom_nodes
     ipadapter: models/ipadapter
empty:
)");
  ASSERT_TRUE(folders.ok()) << folders.status();
  const std::string a1111 = "/etc/comfy/path/to/stable-diffusion-webui/";
  EXPECT_THAT(*folders,
              ElementsAre(ComfyUiFolder{"/home/me/ComfyUI/models/unet", "diffusion_models"},
                          ComfyUiFolder{"/home/me/ComfyUI/models/clip #1", "text_encoders"},
                          ComfyUiFolder{"/srv/vae", "vae"},
                          ComfyUiFolder{"/home/me/ComfyUI/models/ipadapter", "ipadapter"},
                          ComfyUiFolder{a1111 + "models/Stable-diffusion", "checkpoints"},
                          ComfyUiFolder{a1111 + "models/Lora", "loras"},
                          ComfyUiFolder{a1111 + "models/LyCORIS", "loras"},
                          ComfyUiFolder{a1111 + "models/ESRGAN", "upscale_models"},
                          ComfyUiFolder{a1111 + "models/RealESRGAN", "upscale_models"},
                          ComfyUiFolder{a1111 + "models/ControlNet", "controlnet"}));
}

TEST(ComfyUiPathsTest, WithoutABasePathFoldersLieBesideTheFile) {
  EXPECT_THAT(*Parse("x:\r\n  vae: ../vae\r\n  loras: ~/loras\r\n"),
              ElementsAre(ComfyUiFolder{"/etc/vae", "vae"},
                          ComfyUiFolder{"/home/me/loras", "loras"}));
}

TEST(ComfyUiPathsTest, AFolderOfSeveralKindsHasNone) {
  EXPECT_THAT(*Parse("x:\n  base_path: /m\n  vae: .\n  loras: .\n"),
              ElementsAre(ComfyUiFolder{"/m", ""}));
}

TEST(ComfyUiPathsTest, NothingComesOfNothing) {
  EXPECT_THAT(*Parse(""), IsEmpty());
  EXPECT_THAT(*Parse("# only this\n\n"), IsEmpty());
  EXPECT_THAT(*Parse("x:\n  vae:\n"), IsEmpty());
}

TEST(ComfyUiPathsTest, FoldersBecomeRoots) {
  TreeForTest tree;
  tree.AddFile("extra_model_paths.yaml", "x:\n  loras: models/loras\n");
  const auto roots = ReadComfyUiPaths(tree.path() + "/extra_model_paths.yaml", "/home/me");
  ASSERT_TRUE(roots.ok()) << roots.status();
  ASSERT_EQ(roots->size(), 1u);
  EXPECT_EQ((*roots)[0].path, tree.path() + "/models/loras");
  EXPECT_EQ((*roots)[0].folder_kind, "loras");
  EXPECT_TRUE((*roots)[0].may_be_absent);

  tree.AddFile("bad.yaml", "nonsense");
  const Status bad = ReadComfyUiPaths(tree.path() + "/bad.yaml", "/home/me").status();
  EXPECT_EQ(CodeOf(bad), ErrorCode::kInvalidConfig);
  EXPECT_THAT(std::string(Message(bad)), HasSubstr("/bad.yaml: line 1"));
  EXPECT_EQ(CodeOf(ReadComfyUiPaths("/no/such.yaml", "/").status()), ErrorCode::kFileNotFound);
}

struct BrokenPaths {
  std::string yaml;
  std::string message;
};

TEST(ComfyUiPathsTest, WhatIsNotReadIsNamedWithItsLine) {
  const std::vector<BrokenPaths> cases = {
      {"vae: /x\n", "line 1: a section"},
      {"  vae: /x\n", "line 1: it belongs to no section"},
      {"x:\n  vae\n", "line 2: it is no 'key: value'"},
      {"x:\n  vae:/x\n", "line 2: a blank is missing"},
      {"x:\n\tvae: /x\n", "line 2: it is indented by a tab"},
      {"x:\n  vae: [a, b]\n", "line 2: '['"},
      {"x:\n  vae: &anchor /x\n", "line 2: '&'"},
      {"x:\n  vae: !!python/object:os.system x\n", "line 2: '!'"},
      {"x:\n  vae: > \n   a\n", "line 2: '>'"},
      {"x:\n  vae:\n    - a\n", "line 3: its indent"},
      {"x:\n  vae: \"open\n", "line 2: a quote"},
      {"x:\n  vae: 'it's'\n", "line 2: a quote"},
      {"x:\n  vae: \"\\x41\"\n", "line 2: an escape"},
      {"x:\n  vae: /a\n  vae: /b\n", "line 3: this key is there twice"},
      {"x:\nx:\n", "line 2: this section is there twice"},
      {"x:\n  vae: /a\n   loras: /b\n", "line 3: its indent"},
      {std::string("x:\n  vae: /a\0b\n", 14), "line 2: it is not plain"},
      {"x:\n  vae: \xff\n", "line 2: it is not plain"},
  };
  for (const BrokenPaths& test : cases) {
    const Status status = Parse(test.yaml).status();
    EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidConfig) << test.yaml;
    EXPECT_THAT(std::string(Message(status)), HasSubstr(test.message)) << test.yaml;
  }
}

}  // namespace
}  // namespace warmset
