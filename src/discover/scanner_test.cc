#include "discover/scanner.h"

#include <algorithm>

#include "discover/tree_for_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "isolate/inspector.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class ScannerTest : public testing::Test {
 protected:
  ScanWalk Scan() { return ScanRoots({{.path = tree_.path()}}); }
  ScanWalk ScanRoots(const std::vector<Root>& roots) {
    auto walk = Scanner(cache_, lister_).Walk(roots, nullptr, {});
    EXPECT_TRUE(walk.ok()) << walk.status();
    return *std::move(walk);
  }
  ScanWalk LookAt(const std::string& path) {
    return Scanner(cache_, lister_).LookAt(tree_.path() + "/" + path);
  }

  // "name (layout): files" of each sighting, by name.
  static std::vector<std::string> Shown(const ScanWalk& walk) {
    std::vector<std::string> shown;
    for (const Sighting& sighting : walk.sightings) {
      std::string& text = shown.emplace_back(sighting.base_name + " (");
      text += std::string(ModelLayoutName(sighting.model.layout)) + "):";
      for (const ManifestFile& file : sighting.model.files) text += " " + file.path;
    }
    std::sort(shown.begin(), shown.end());
    return shown;
  }
  static std::string Kind(const ScanWalk& walk, const std::string& name) {
    for (const Sighting& sighting : walk.sightings) {
      if (sighting.base_name == name) return sighting.model.folder_kind;
    }
    return "no " + name;
  }

  TreeForTest tree_;
  ShardListCache cache_;
  InProcessInspector lister_;
};

TEST_F(ScannerTest, APeftFolderIsAModelWithItsConfiguration) {
  tree_.Add({{"tuned/adapter_config.json", "{}"}, {"tuned/adapter_model.safetensors", "x"}});
  EXPECT_THAT(Shown(Scan()), ElementsAre("tuned (transformers): adapter_config.json "
                                         "adapter_model.safetensors"));
}

TEST_F(ScannerTest, EveryFormatByItsName) {
  for (const char* name : {"a.safetensors", "b.gguf", "c.pt", "d.pth", "e.ckpt", "f.onnx",
                           "g.dduf", "h.jit", "i.sft", "learned_embeds.bin", "firmware.bin",
                           "data.pkl", "optimizer.pt", "notes.txt", "config.yaml"}) {
    tree_.AddFile(name, "x");
  }
  const ScanWalk walk = Scan();
  const std::string folder = tree_.path().substr(tree_.path().rfind('/') + 1);
  EXPECT_THAT(Shown(walk),
              testing::UnorderedElementsAre(
                  "a.safetensors (file): a.safetensors", "b.gguf (file): b.gguf",
                  "c.pt (file): c.pt", "d.pth (file): d.pth", "e.ckpt (file): e.ckpt",
                  "f.onnx (file): f.onnx", "g.dduf (file): g.dduf", "h.jit (file): h.jit",
                  "i.sft (file): i.sft", folder + "/learned_embeds.bin (file): learned_embeds.bin"));
  EXPECT_EQ(walk.files, 10u);
}

TEST_F(ScannerTest, EndingsHaveNoCase) {
  tree_.Add({{"LOUD.SAFETENSORS", "x"},
             {"Mixed.SafeTensors", "x"},
             {"q/Model-00001-of-00002.GGUF", "x"},
             {"q/Model-00002-of-00002.GGUF", "x"}});
  EXPECT_THAT(Shown(Scan()), ElementsAre("LOUD.SAFETENSORS (file): LOUD.SAFETENSORS",
                                         "Mixed.SafeTensors (file): Mixed.SafeTensors",
                                         "Model.gguf (sharded): Model-00001-of-00002.GGUF "
                                         "Model-00002-of-00002.GGUF"));
}

TEST_F(ScannerTest, UnfinishedDownloadsAreFindings) {
  for (const char* name : {"a.safetensors.part", "b.safetensors.crdownload", "c.gguf.!qB",
                           "Unconfirmed 12.crdownload", "d.safetensors.tmp"}) {
    tree_.AddFile(name, "x");
  }
  tree_.AddFile("notes.part", "x");
  const ScanWalk walk = Scan();
  EXPECT_THAT(walk.sightings, IsEmpty());
  ASSERT_THAT(walk.findings, SizeIs(5));
  for (const ScanFinding& finding : walk.findings) {
    EXPECT_EQ(finding.code, ErrorCode::kIncompleteModel) << finding.path;
  }
}

TEST_F(ScannerTest, AFileWithADownloadersControlFileIsIncomplete) {
  tree_.Add({{"flux.safetensors", "x"}, {"flux.safetensors.aria2", "x"}, {"whole.gguf", "x"}});
  const ScanWalk walk = Scan();
  ASSERT_THAT(walk.sightings, SizeIs(2));
  for (const Sighting& sighting : walk.sightings) {
    const bool flux = sighting.base_name == "flux.safetensors";
    ASSERT_EQ(sighting.findings.size(), flux ? 1u : 0u);
    if (!flux) continue;
    EXPECT_EQ(sighting.findings[0].path, "flux.safetensors");
    EXPECT_EQ(sighting.findings[0].verdict, Verdict::kIncomplete);
  }
  tree_.AddFile("other.gguf.part", "x");
  const ScanWalk one = LookAt("flux.safetensors");
  EXPECT_THAT(one.sightings[0].findings, SizeIs(1));
  EXPECT_THAT(one.findings, IsEmpty());  // what lies beside it is another matter
}

TEST_F(ScannerTest, SplitGgufFilesAreOneModel) {
  tree_.Add({{"q/llama-Q4_K_M-00001-of-00003.gguf", "x"},
             {"q/llama-Q4_K_M-00003-of-00003.gguf", "x"},
             {"q/llama-Q8_0.gguf", "x"}});
  EXPECT_THAT(Shown(Scan()),
              ElementsAre("llama-Q4_K_M.gguf (sharded): llama-Q4_K_M-00001-of-00003.gguf "
                          "llama-Q4_K_M-00003-of-00003.gguf",
                          "llama-Q8_0.gguf (file): llama-Q8_0.gguf"));
}

TEST_F(ScannerTest, APartThatComesLaterBelongsToTheSameModel) {
  tree_.AddFile("m-00002-of-00002.gguf", "x");
  const ModelId id = Scan().sightings.front().id;
  tree_.AddFile("m-00001-of-00002.gguf", "x");
  const ScanWalk walk = Scan();
  ASSERT_THAT(walk.sightings, SizeIs(1));
  EXPECT_EQ(walk.sightings[0].id, id);
}

TEST_F(ScannerTest, DataOfAnOnnxModelIsNoModel) {
  tree_.Add({{"net/model.onnx", "x"},
             {"net/model.onnx_data", "x"},
             {"net/model.onnx_data_1", "x"},
             {"net/other.onnx.data", "x"}});
  EXPECT_THAT(Shown(Scan()),
              ElementsAre("net/model.onnx (file): model.onnx model.onnx_data model.onnx_data_1"));
}

TEST_F(ScannerTest, ATransformersFolderOfPickles) {
  tree_.Add({{"bert/config.json", "{}"},
             {"bert/pytorch_model-00001-of-00002.bin", "x"},
             {"bert/pytorch_model-00002-of-00002.bin", "x"},
             {"bert/pytorch_model.bin.index.json",
              R"({"weight_map":{"a":"pytorch_model-00001-of-00002.bin",
                                "b":"pytorch_model-00002-of-00002.bin"}})"},
             {"bert/training_args.bin", "x"},
             {"bert/ggml-model.gguf", "x"},
             {"bert/model.onnx", "x"}});
  EXPECT_THAT(Shown(Scan()),
              ElementsAre("bert (transformers): config.json pytorch_model.bin.index.json "
                          "pytorch_model-00001-of-00002.bin pytorch_model-00002-of-00002.bin",
                          "bert/model.onnx (file): model.onnx",
                          "ggml-model.gguf (file): ggml-model.gguf"));
}

TEST_F(ScannerTest, PicklesBesideTheSameSafetensorsAreLeftOut) {
  tree_.Add({{"m/config.json", "{}"},
             {"m/model.safetensors", "x"},
             {"m/pytorch_model.bin", "x"},
             {"m/pytorch_model.fp16.bin", "x"}});
  EXPECT_THAT(Shown(Scan()), ElementsAre("m (transformers): config.json model.safetensors "
                                         "pytorch_model.fp16.bin"));
}

TEST_F(ScannerTest, ADiffusersFolderOfPickles) {
  tree_.Add({{"sd/model_index.json", "{}"},
             {"sd/unet/config.json", "{}"},
             {"sd/unet/diffusion_pytorch_model.bin", "x"},
             {"sd/unet/diffusion_pytorch_model.fp16.bin", "x"},
             {"sd/vae/diffusion_pytorch_model.bin", "x"},
             {"sd/vae/diffusion_pytorch_model.safetensors", "x"},
             {"sd/onnx/model.onnx", "x"},
             {"sd/onnx/weights.pb", "x"}});
  EXPECT_THAT(Shown(Scan()),
              ElementsAre("sd (diffusers): model_index.json onnx/model.onnx unet/config.json "
                          "unet/diffusion_pytorch_model.bin unet/diffusion_pytorch_model.fp16.bin "
                          "vae/diffusion_pytorch_model.safetensors"));
}

TEST_F(ScannerTest, APipelineWithoutWeightsIsSightedToo) {
  tree_.AddFile("sd/model_index.json", "{}");
  EXPECT_THAT(Shown(Scan()), ElementsAre("sd (diffusers): model_index.json"));
}

TEST_F(ScannerTest, FolderNamesTellTheKind) {
  tree_.Add({{"models/Stable-diffusion/a.ckpt", "x"},
             {"models/Lora/style/b.safetensors", "x"},
             {"models/loras/vae/c.safetensors", "x"},
             {"models/clip_vision/d.bin", "x"},
             {"other/e.pt", "x"},
             {"embeddings/f.bin", "x"}});
  const ScanWalk walk = Scan();
  EXPECT_EQ(Kind(walk, "a.ckpt"), "checkpoints");
  EXPECT_EQ(Kind(walk, "b.safetensors"), "loras");
  EXPECT_EQ(Kind(walk, "c.safetensors"), "vae");
  EXPECT_EQ(Kind(walk, "d.bin"), "clip_vision");
  EXPECT_EQ(Kind(walk, "e.pt"), "");
  EXPECT_EQ(Kind(walk, "f.bin"), "embeddings");
}

TEST_F(ScannerTest, ARootHasTheKindThatTheUserGaveIt) {
  tree_.Add({{"mine/a.safetensors", "x"}, {"mine/vae/b.safetensors", "x"}});
  const Root root{.path = tree_.path() + "/mine", .folder_kind = "loras"};
  const ScanWalk walk = ScanRoots({root});
  EXPECT_EQ(Kind(walk, "a.safetensors"), "loras");
  EXPECT_EQ(Kind(walk, "b.safetensors"), "vae");
  const ScanWalk again =
      Scanner(cache_, lister_).Revisit(root, tree_.path() + "/mine/vae");
  EXPECT_EQ(Kind(again, "b.safetensors"), "vae");
  EXPECT_NE(ScanRoots({{.path = tree_.path() + "/mine"}}).sightings[0].revision,
            walk.sightings[0].revision);
}

TEST_F(ScannerTest, ARootThatMayBeAbsentIsNoFinding) {
  EXPECT_THAT(ScanRoots({{.path = tree_.path() + "/no", .may_be_absent = true}}).findings,
              IsEmpty());
  EXPECT_THAT(ScanRoots({{.path = tree_.path() + "/no"}}).findings, SizeIs(1));
}

TEST_F(ScannerTest, ALinkThatLeadsNowhereIsAModelThatIsIncomplete) {
  tree_.AddLink("a.safetensors", "/mnt/away/a.safetensors");
  const ScanWalk walk = Scan();
  ASSERT_THAT(walk.sightings, SizeIs(1));
  EXPECT_THAT(walk.sightings[0].model.files, IsEmpty());
  ASSERT_THAT(walk.sightings[0].findings, SizeIs(1));
  EXPECT_EQ(walk.sightings[0].findings[0].verdict, Verdict::kIncomplete);
  EXPECT_THAT(walk.findings, IsEmpty());
}

TEST_F(ScannerTest, ARefusalIsListedBesideAConfig) {
  tree_.Add({{"gated/config.json", "{}"}, {"gated/.error.json", "{}"}, {"app/config.json", "{}"}});
  EXPECT_THAT(Shown(Scan()), ElementsAre("gated (transformers): config.json .error.json"));
}

TEST_F(ScannerTest, IndexesAreReadOnceWhileTheyStayTheSame) {
  class CountingLister final : public ShardLister {
   public:
    StatusOr<std::vector<std::string>> ShardsOf(int index_fd) override {
      ++calls;
      return ReadNamedFiles(index_fd);
    }
    StatusOr<HubTree> TreeOf(int tree_fd) override {
      ++calls;
      return ReadHubTree(tree_fd);
    }
    int calls = 0;
  };
  CountingLister lister;
  tree_.Add({{"m.safetensors.index.json", R"({"weight_map":{"a":"x.safetensors"}})"},
             {"x.safetensors", "x"},
             {"broken.safetensors.index.json", "{"}});
  Scanner scanner(cache_, lister);
  ASSERT_TRUE(scanner.Walk({{.path = tree_.path()}}, nullptr, {}).ok());
  const auto walk = scanner.Walk({{.path = tree_.path()}}, nullptr, {});
  EXPECT_THAT(Shown(*walk),
              ElementsAre("broken.safetensors (sharded): broken.safetensors.index.json",
                          "m.safetensors (sharded): m.safetensors.index.json x.safetensors"));
  EXPECT_EQ(lister.calls, 2);

  const std::string repo = "hub/models--org--name";
  const std::string commit(40, 'a');
  tree_.Add({{repo + "/snapshots/" + commit + "/x.safetensors", "x"},
             {repo + "/trees/" + commit + ".json", R"({"format_version":1,"files":{}})"}});
  ASSERT_TRUE(scanner.Walk({{.path = tree_.path()}}, nullptr, {}).ok());
  ASSERT_TRUE(scanner.Walk({{.path = tree_.path()}}, nullptr, {}).ok());
  EXPECT_EQ(lister.calls, 3);
}

TEST_F(ScannerTest, PointingAtAFileWhateverItIsCalled) {
  tree_.Add({{"some.bin", "x"}, {"data.xyz", "x"}, {".hidden.safetensors", "x"}});
  EXPECT_THAT(Shown(LookAt("some.bin")), ElementsAre("some.bin (file): some.bin"));
  EXPECT_THAT(Shown(LookAt("data.xyz")), ElementsAre("data.xyz (file): data.xyz"));
  EXPECT_THAT(Shown(LookAt(".hidden.safetensors")),
              ElementsAre(".hidden.safetensors (file): .hidden.safetensors"));
  const ScanWalk absent = LookAt("absent");
  EXPECT_THAT(absent.sightings, IsEmpty());
  ASSERT_THAT(absent.findings, SizeIs(1));
  EXPECT_EQ(absent.findings[0].code, ErrorCode::kFileNotFound);
}

TEST_F(ScannerTest, PointingAtAPartOfAModel) {
  tree_.Add({{"m-00001-of-00002.gguf", "x"},
             {"m-00002-of-00002.gguf", "x"},
             {"s-00001-of-00002.safetensors", "x"},
             {"s-00002-of-00002.safetensors", "x"},
             {"s.safetensors.index.json", R"({"weight_map":{"a":"s-00001-of-00002.safetensors"}})"}});
  EXPECT_THAT(Shown(LookAt("m-00002-of-00002.gguf")),
              ElementsAre("m.gguf (sharded): m-00001-of-00002.gguf m-00002-of-00002.gguf"));
  EXPECT_THAT(Shown(LookAt("s-00001-of-00002.safetensors")),
              ElementsAre("s-00001-of-00002.safetensors (file): s-00001-of-00002.safetensors"));
  EXPECT_THAT(Shown(LookAt("s.safetensors.index.json")),
              ElementsAre("s.safetensors (sharded): s.safetensors.index.json "
                          "s-00001-of-00002.safetensors s-00002-of-00002.safetensors"));
}

TEST_F(ScannerTest, PointingAtAFolder) {
  tree_.Add({{"llm/config.json", "{}"}, {"any/x.bin", "x"}});
  EXPECT_THAT(Shown(LookAt("llm")), ElementsAre(testing::HasSubstr("(transformers): config.json")));
  EXPECT_THAT(Shown(LookAt("any/")), ElementsAre("x.bin (file): x.bin"));
}

}  // namespace
}  // namespace warmset
