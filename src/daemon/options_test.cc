#include "daemon/options.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "daemon/option_table.h"
#include "daemon/serve_flags.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "wire/socket_path.h"

namespace warmset {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class OptionsTest : public ::testing::Test {
 protected:
  OptionsTest() {
    std::string pattern = (fs::temp_directory_path() / "warmset-options-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    variables_["HOME"] = folder_;
  }
  ~OptionsTest() override { fs::remove_all(folder_); }

  std::string WriteFile(const std::string& name, const std::string& content) {
    const fs::path path = fs::path(folder_) / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content;
    return path.string();
  }

  StatusOr<Options> LoadWith(const std::string& key, const std::string& value) {
    OptionFlags flags;
    flags.values[key] = {value};
    return Load(flags);
  }

  StatusOr<Options> Load(const OptionFlags& flags = {}) {
    return LoadOptions(flags, [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      if (found == variables_.end()) return std::nullopt;
      return found->second;
    });
  }

  // The error of a warmset.toml with that content.
  Status FileError(const std::string& content) {
    const std::string path = WriteFile("bad.toml", content);
    return Load({.config_file = path, .values = {}}).status();
  }
  Status FlagError(const std::string& key, const std::string& value) {
    return Load({.config_file = "", .values = {{key, {value}}}}).status();
  }

  std::string folder_;
  std::map<std::string, std::string> variables_;
};

TEST_F(OptionsTest, DefaultsNeedNoFile) {
  const auto options = Load();
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->home, folder_ + "/.local/share/warmset");
  EXPECT_EQ(options->socket, wire::SocketPath());
  EXPECT_THAT(options->roots, IsEmpty());
  EXPECT_TRUE(options->deep_scan);
  EXPECT_TRUE(options->watch);
  EXPECT_EQ(options->ram_limit, "50%");
  ASSERT_EQ(options->devices.size(), 1u);
  EXPECT_EQ(PrintDevice(options->devices[0]), "host:0,pool=shared");
  EXPECT_THAT(options->sources, IsEmpty());
  EXPECT_EQ(options->config_file, "");
}

TEST_F(OptionsTest, ASizeWithoutItsUnitIsRefused) {
  for (const auto& [key, value] : {std::pair("memory.ram_limit", "8"),
                                   {"memory.reserve", "512"},
                                   {"memory.keep_free", "67108863"}}) {
    const Status refused = LoadWith(key, value).status();
    EXPECT_EQ(CodeOf(refused), ErrorCode::kInvalidConfig);
    EXPECT_THAT(Message(refused), HasSubstr(fmt::format("write {0}GiB or {0}MiB", value)));
  }
  EXPECT_TRUE(LoadWith("memory.ram_limit", "67108864").ok());
  EXPECT_TRUE(LoadWith("memory.reserve", "0").ok());
  EXPECT_THAT(Message(LoadWith("device", "host:0,memory=4").status()), HasSubstr("4GiB"));
}

TEST_F(OptionsTest, WordsOfOthersAreKnown) {
  EXPECT_EQ(LoadWith("memory.eviction", "LeastRecentlyUsed").ok(), false);
  EXPECT_EQ(LoadWith("memory.eviction", "least-recently-used")->eviction, "lru");
  EXPECT_EQ(LoadWith("memory.eviction", "LFU")->eviction, "lfu");
  EXPECT_EQ(LoadWith("memory.strategy", "Memory-Optimized")->strategy, CacheStrategy::kMemory);
}

TEST_F(OptionsTest, AnUnknownDeviceIsRefused) {
  EXPECT_THAT(Message(LoadWith("device", "cuda:0").status()),
              HasSubstr("'cuda:0': there is no device backend 'cuda'; this version has host"));
}

TEST_F(OptionsTest, AStartNeedsTheRootsOfTheCommandLine) {
  const std::string file = WriteFile("file", "");
  EXPECT_TRUE(CheckForStart(*LoadWith("models.roots", folder_), ByteCount(kGiB)).ok());
  for (const auto& [root, why] :
       {std::pair(folder_ + "/absent", "does not exist"), {file, "is no folder"}}) {
    const Status refused = CheckForStart(*LoadWith("models.roots", root), ByteCount(kGiB));
    EXPECT_EQ(CodeOf(refused), ErrorCode::kInvalidConfig);
    EXPECT_THAT(Message(refused), HasSubstr(fmt::format("models.roots: {} {}; ", root, why)));
  }
}

// A drive that is away when the machine starts.
TEST_F(OptionsTest, ARootOfTheFileMayComeLater) {
  for (const auto& [root, starts] : {std::pair("absent", true), {"warmset.toml", false}}) {
    const std::string file =
        WriteFile("warmset.toml", fmt::format("[models]\nroots = ['{}/{}']\n", folder_, root));
    const auto options = LoadOptions({.config_file = file, .values = {}},
                                     [](const std::string&) { return std::nullopt; });
    ASSERT_TRUE(options.ok()) << options.status();
    EXPECT_EQ(CheckForStart(*options, ByteCount(kGiB)).ok(), starts) << root;
  }
}

TEST_F(OptionsTest, AStartNeedsAReserveWithinTheLimit) {
  const auto given = LoadWith("memory.reserve", "512MiB");
  EXPECT_THAT(Message(CheckForStart(*given, ByteCount(100 * kMiB))),
              HasSubstr("memory.reserve: 512 MiB are more than the RAM limit of 100 MiB"));
  EXPECT_TRUE(CheckForStart(*given, ByteCount(512 * kMiB)).ok());
  EXPECT_TRUE(CheckForStart(*Load(), ByteCount(100 * kMiB)).ok()) << "the default gives way";
}

TEST_F(OptionsTest, TheHubCacheIsTheDefaultRootWhereItExists) {
  fs::create_directories(folder_ + "/.cache/huggingface/hub");
  EXPECT_THAT(Load()->roots, ElementsAre(folder_ + "/.cache/huggingface/hub"));

  fs::create_directories(folder_ + "/hf/hub");
  variables_["HF_HOME"] = folder_ + "/hf/";
  EXPECT_THAT(Load()->roots, ElementsAre(folder_ + "/hf/hub"));

  fs::create_directories(folder_ + "/cache");
  variables_["HF_HUB_CACHE"] = "~/cache";
  EXPECT_THAT(Load()->roots, ElementsAre(folder_ + "/cache"));

  variables_["HF_HUB_CACHE"] = folder_ + "/absent";
  EXPECT_THAT(Load()->roots, IsEmpty());
}

TEST_F(OptionsTest, FileSetsEveryKey) {
  const std::string path = WriteFile("conf/warmset.toml", R"(
socket = "run/w.sock"
home = "~/state"
path_dir = "/dev/shm/models"
log_level = "debug"
[models]
roots = ["models", "~/more", "/srv/models/"]
scan_depth = "shallow"
watch = false
[discover]
extra_model_paths = ["~/ComfyUI/extra_model_paths.yaml"]
[memory]
ram_limit = "8GiB"
reserve = 1073741824
keep_free = "1GiB"
load_threads = 3
strategy = "balanced"
eviction = "sieve"
[preload]
companions = false
popular = false
schedule = ["30 8 * * mon-fri sdxl", "0 13 * * * llama"]
[access]
uids = [1000, 1001]
[[device]]
id = "host:0"
[[device]]
id = "host:1"
memory = "4GiB"
pool = "dedicated"
)");
  const auto options = Load({.config_file = path, .values = {}});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->config_file, path);
  EXPECT_EQ(options->socket, folder_ + "/conf/run/w.sock");
  EXPECT_EQ(options->home, folder_ + "/state");
  EXPECT_EQ(options->path_dir, "/dev/shm/models");
  EXPECT_EQ(options->log_level, "debug");
  EXPECT_THAT(options->roots,
              ElementsAre(folder_ + "/conf/models", folder_ + "/more", "/srv/models"));
  EXPECT_FALSE(options->deep_scan);
  EXPECT_FALSE(options->watch);
  EXPECT_THAT(options->extra_model_paths, ElementsAre(folder_ + "/ComfyUI/extra_model_paths.yaml"));
  EXPECT_EQ(options->ram_limit, "8GiB");
  EXPECT_EQ(options->reserve, ByteCount(kGiB));
  EXPECT_EQ(options->keep_free, ByteCount(kGiB));
  EXPECT_EQ(options->load_threads, 3u);
  EXPECT_EQ(options->strategy, CacheStrategy::kBalanced);
  EXPECT_EQ(options->eviction, "sieve");
  EXPECT_FALSE(options->preload_companions);
  EXPECT_FALSE(options->preload_popular);
  ASSERT_EQ(options->preload_schedule.size(), 2u);
  EXPECT_EQ(options->preload_schedule[1].model, "llama");
  EXPECT_THAT(options->allowed_uids, ElementsAre(1000u, 1001u));
  ASSERT_EQ(options->devices.size(), 2u);
  EXPECT_EQ(options->devices[1].memory, ByteCount(4 * kGiB));
  EXPECT_EQ(options->devices[1].pool, "dedicated");
  for (const OptionValue& value : DescribeOptions(*options)) {
    EXPECT_EQ(value.source, OptionSource::kFile) << value.key;
  }
}

TEST_F(OptionsTest, UsualFileIsFound) {
  WriteFile(".config/warmset/warmset.toml", "[models]\nwatch = false\n");
  EXPECT_FALSE(Load()->watch);
  variables_["WARMSET_CONFIG"] = WriteFile("other.toml", "log_level = 'error'\n");
  const auto options = Load();
  EXPECT_TRUE(options->watch);
  EXPECT_EQ(options->log_level, "error");
}

TEST_F(OptionsTest, FlagsOverrideEnvironmentOverridesFile) {
  const std::string path =
      WriteFile("w.toml", "socket = '/file'\nhome = '/file'\nlog_level = 'debug'\n");
  variables_["WARMSET_SOCKET"] = "/variable";
  variables_["WARMSET_HOME"] = "/variable";
  const auto options = Load({.config_file = path, .values = {{"home", {"/flag"}}}});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->socket, "/variable");
  EXPECT_EQ(options->home, "/flag");
  EXPECT_EQ(options->log_level, "debug");
  EXPECT_EQ(options->sources.at("socket"), OptionSource::kEnvironment);
  EXPECT_EQ(options->sources.at("home"), OptionSource::kFlag);
  EXPECT_EQ(options->sources.at("log_level"), OptionSource::kFile);
}

TEST_F(OptionsTest, NamedFileMustExist) {
  const Status status = Load({.config_file = folder_ + "/absent.toml", .values = {}}).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kFileNotFound);
  variables_["WARMSET_CONFIG"] = folder_ + "/absent.toml";
  EXPECT_EQ(CodeOf(Load().status()), ErrorCode::kFileNotFound);
}

struct BadFile {
  std::string content;
  std::string message;  // a part of it
};
class BadFileTest : public OptionsTest, public ::testing::WithParamInterface<BadFile> {};

TEST_P(BadFileTest, NamesThePlaceAndTheReason) {
  const Status status = FileError(GetParam().content);
  EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidConfig);
  EXPECT_THAT(std::string(Message(status)), HasSubstr("/bad.toml:" + GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadFileTest,
    ::testing::Values(
        BadFile{"[memory]\nram_limit = \n", "2:"},
        BadFile{"[memory]\nram_limits = '8GiB'\n",
                "2:1: there is no key 'memory.ram_limits'; the nearest is 'memory.ram_limit'"},
        BadFile{"root = ['/x']\n", "1:1: there is no key 'root'"},
        BadFile{"[access]\nuid = [1]\n",
                "2:1: there is no key 'access.uid'; the nearest is "
                "'access.uids'"},
        BadFile{"[models]\nroots = '/x'\n", "2:9: models.roots takes a list of strings"},
        BadFile{"[models]\nroots = ['/x', 3]\n", "2:16: models.roots takes a list of strings"},
        BadFile{"[models]\nroots = ['']\n", "2:9: models.roots: the path is empty"},
        BadFile{"[models]\nwatch = 'yes'\n", "2:9: models.watch takes true or false"},
        BadFile{"[models]\nscan_depth = 'all'\n",
                "2:14: models.scan_depth: 'all' is neither deep nor shallow"},
        BadFile{"[memory]\nram_limit = 'much'\n", "2:13: memory.ram_limit: 'much' is not a size"},
        BadFile{"[memory]\nreserve = '5%'\n", "2:11: memory.reserve: '5%' is a share"},
        BadFile{"[memory]\nload_threads = -1\n", "2:16: memory.load_threads: '-1' is not"},
        BadFile{"[memory]\nload_threads = 1.5\n", "2:16: memory.load_threads takes a whole"},
        BadFile{"memory = 3\n", "1:1: there is no key 'memory'"},
        BadFile{"device = 'host:0'\n", "1:10: device takes tables headed [[device]]"},
        BadFile{"[[device]]\npool = 'shared'\n", "1:1: a device needs id"},
        BadFile{"[[device]]\nid = 'host:0'\nmem = '1GiB'\n",
                "3:1: a device has no key 'mem'; the nearest is 'memory'"},
        BadFile{"[[device]]\nid = 'host:0,pool=shared'\n", "2:6: device.id takes a string"},
        BadFile{"[[device]]\nid = 'host:0'\nmemory = 'big'\n", "1:1: device: 'big' is not"}));

TEST_F(OptionsTest, WrongFlagsNameTheFlag) {
  EXPECT_THAT(std::string(Message(FlagError("models.watch", "maybe"))),
              HasSubstr("--watch: 'maybe' is neither on nor off"));
  EXPECT_THAT(std::string(Message(FlagError("device", "host:0,size=3"))),
              HasSubstr("--device: 'size=3' is neither"));
  EXPECT_THAT(std::string(Message(FlagError("memory.ram_limit", "120%"))),
              HasSubstr("--ram-limit: "));
}

TEST_F(OptionsTest, ValidateRefusesWhatCannotWork) {
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"socket", "/" + std::string(120, 'x')},
                                                        {"memory.load_threads", "0"},
                                                        {"memory.load_threads", "65"},
                                                        {"memory.eviction", "mru"},
                                                        {"log_level", "loud"},
                                                        {"device", "host"},
                                                        {"device", "host:"},
                                                        {"device", "HOST:0"},
                                                        {"device", "host:0,pool=own"},
                                                        {"device", "host:0,memory=0"}}) {
    const Status status = FlagError(key, value);
    EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidConfig) << key << "=" << value;
    EXPECT_THAT(std::string(Message(status)), HasSubstr(key)) << value;
  }
  const Status twice =
      Load({.config_file = "", .values = {{"device", {"host:0", "host:0"}}}}).status();
  EXPECT_THAT(std::string(Message(twice)), HasSubstr("host:0 is given twice"));
}

TEST_F(OptionsTest, RamLimitIsASizeOrAShare) {
  Options options;
  options.ram_limit = "3GiB";
  EXPECT_EQ(*ResolveRamLimit(options), ByteCount(3 * kGiB));
  options.ram_limit = "0%";
  EXPECT_EQ(CodeOf(ResolveRamLimit(options).status()), ErrorCode::kInvalidConfig);
  options.ram_limit = "50%";
  const auto half = ResolveRamLimit(options);
  ASSERT_TRUE(half.ok());
  options.ram_limit = "100%";
  EXPECT_GT(ResolveRamLimit(options)->value(), half->value());
}

TEST_F(OptionsTest, WhatIsPrintedReadsBack) {
  const OptionFlags flags = {.config_file = "",
                             .values = {{"device", {"host:0,memory=1536MiB,pool=dedicated"}},
                                        {"memory.reserve", {"0"}},
                                        {"models.scan_depth", {"shallow"}}}};
  const auto options = Load(flags);
  ASSERT_TRUE(options.ok()) << options.status();
  OptionFlags again;
  for (const OptionValue& value : DescribeOptions(*options)) {
    if (!value.value.empty()) again.values[value.key] = {value.value};
  }
  const auto reloaded = Load(again);
  ASSERT_TRUE(reloaded.ok()) << reloaded.status();
  EXPECT_EQ(PrintDevice(reloaded->devices[0]), "host:0,memory=1536MiB,pool=dedicated");
  EXPECT_EQ(reloaded->reserve, ByteCount(0));
  EXPECT_FALSE(reloaded->deep_scan);
}

TEST(ServeFlags, RepeatedFlagsCollectAndSingleOnesTakeTheLast) {
  CLI::App app;
  OptionFlags flags;
  AddServeFlags(app, flags);
  app.parse("--root /a --root /b --ram-limit 1GiB --ram-limit 2GiB --config c.toml --watch off");
  EXPECT_THAT(flags.values.at("models.roots"), ElementsAre("/a", "/b"));
  EXPECT_THAT(flags.values.at("memory.ram_limit"), ElementsAre("2GiB"));
  EXPECT_EQ(flags.config_file, "c.toml");
  EXPECT_EQ(flags.values.size(), 3u);
}

TEST(ServeFlags, UnknownFlagIsRefused) {
  CLI::App app;
  OptionFlags flags;
  AddServeFlags(app, flags);
  EXPECT_THROW(app.parse("--roots /a"), CLI::ParseError);
}

}  // namespace
}  // namespace warmset
