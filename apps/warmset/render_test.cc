#include "render.h"

#include "base/strong.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace warmset::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

v1::ModelState State(const std::string& text) { return Parse<v1::ModelState>(text); }

TEST(Where, NamesEveryTier) {
  EXPECT_EQ(Where(State("cache_state: UNCACHED")), "disk");
  EXPECT_EQ(Where(State("cache_state: CACHED")), "ram");
  EXPECT_EQ(Where(State("cache_state: PARTLY_CACHED bytes: 200 cached_bytes: 80")), "ram 40%");
  EXPECT_EQ(Where(State("cache_state: CACHED devices { device: 'host:0' }")), "ram+host:0");
  EXPECT_EQ(Where(State("devices { device: 'host:0' } devices { device: 'host:1' }")),
            "host:0+host:1");
  EXPECT_EQ(Where(State("cache_state: CACHE_ERROR error_code: 'corrupted_model'")),
            "disk (corrupted_model)");
}

TEST(Where, SaysHowFarLoadingIs) {
  const auto progress = Parse<v1::Progress>("done: 43 total: 100");
  const v1::Progress unknown;
  EXPECT_EQ(Where(State("cache_state: CACHING"), &progress), "caching 43%");
  EXPECT_EQ(Where(State("cache_state: CACHING"), &unknown), "caching");
  EXPECT_EQ(Where(State("cache_state: CACHING")), "caching");
}

TEST(Ago, ToleratesClocksThatDisagree) {
  EXPECT_EQ(Ago(0, 1'000), "never");
  EXPECT_EQ(Ago(1'000, 313'000), "5m 12s ago");
  EXPECT_EQ(Ago(5'000, 1'000), "0 ms ago");
}

TEST(RenderActive, ShowsWhoHoldsWhat) {
  const auto active = Parse<v1::ActiveList>(R"(
    models {
      state { name: "sdxl" id: "0123456789abcdef0123456789abcdef" bytes: 6442450944
              cache_state: CACHED strategy: "speed" last_used_unix_ms: 1000 leases: 3
              raw_bytes: 6442450944
              devices { device: "host:0" bytes: 1 } }
      holders { pid: 412 command: "/usr/bin/python /srv/app/serve.py" leases: 2 }
      holders { pid: 7 command: "bench" leases: 1 }
    }
    memory { limit: 12884901888 entries: 6442450944 reserve: 268435456 })");
  EXPECT_EQ(RenderActive(active, {.now_unix_ms = 4'200}),
            "NAME  ID                SIZE    IN RAM  WHERE       STRATEGY  HELD BY                 "
            "          LAST USED\n"
            "sdxl  0123456789ab  6.00 GiB  6.00 GiB  ram+host:0  speed     412 python serve.py (2);"
            " 7 bench  3.2 s ago\n"
            "RAM 6.25 GiB of 12.0 GiB: 6.00 GiB cached, 256 MiB reserve\n");
}

TEST(RenderActive, ShowsFormsSettingsAndSharing) {
  const auto active = Parse<v1::ActiveList>(R"(
    models {
      state { name: "a" id: "00" bytes: 3145728 cache_state: CACHED strategy: "memory"
              compressed_bytes: 2097152
              settings { pinned: true priority: "high" keep_seconds: 1800 } }
      shared_with: "b"
    }
    memory { limit: 4194304 compressed: 2097152 })");
  EXPECT_EQ(RenderActive(active, {}),
            "NAME  ID      SIZE    IN RAM  WHERE           STRATEGY                            "
            "     HELD BY  LAST USED  SHARED WITH\n"
            "a     00  3.00 MiB  2.00 MiB  ram compressed  memory, pinned, high priority, kept "
            "30m           never      b\n"
            "RAM 2.00 MiB of 4.00 MiB: 2.00 MiB compressed\n");
}

TEST(RenderList, HasOneRowForEachModel) {
  const auto list = Parse<v1::ModelList>(R"(
    models { name: "a/b" id: "00112233445566778899aabbccddeeff" bytes: 1024 kind: "lora"
             architecture: "sdxl" override { kind: "lora" } verdict: "ok" }
    models { name: "new\nline" bytes: 3 kind: "vae" cache_state: CACHED })");
  EXPECT_EQ(RenderList(list, {}),
            "NAME       ID                SIZE  KIND               ARCHITECTURE  WHERE\n"
            "a/b        001122334455  1.00 KiB  lora (set by you)  sdxl          disk\n"
            "new\\nline                     3 B  vae                              ram\n");
}

TEST(RenderList, ShowsVerdictsWhereOneIsNotOk) {
  const auto list = Parse<v1::ModelList>(R"(
    models { name: "good" verdict: "ok" } models { name: "bad" verdict: "unsafe" })");
  EXPECT_EQ(RenderList(list, {}),
            "NAME  ID  SIZE  KIND  ARCHITECTURE  VERDICT  WHERE\n"
            "good       0 B                      ok       disk\n"
            "bad        0 B                      unsafe   disk\n");
  EXPECT_THAT(RenderList(list, {.style = Style(true)}), HasSubstr("\x1b[31munsafe"));
}

TEST(RenderDetail, LeavesOutWhatIsNotKnown) {
  const auto detail = Parse<v1::ModelDetail>(R"(
    state { name: "vae" id: "ff" bytes: 2048 layout: "file" format: "safetensors" }
    path: "/models/vae.safetensors" files { path: "/models/vae.safetensors" bytes: 2048 }
    holders { pid: 5 command: "/bin/app" leases: 1 }
    components { name: "vae" error_code: "file_changed" error_message: "read again" }
    metadata { key: "z" value: "2" } metadata { key: "a" value: "1" })");
  const std::string text = RenderDetail(detail, {});
  EXPECT_THAT(text, HasSubstr("2.00 KiB in 1 file\n"));
  EXPECT_THAT(text, HasSubstr("vae: file_changed: read again\n"));
  EXPECT_THAT(text, HasSubstr("5 /bin/app\n"));
  EXPECT_THAT(text, Not(HasSubstr("Architecture")));
  EXPECT_LT(text.find("a = 1"), text.find("z = 2"));
}

TEST(RenderDetail, DescribesTheWeights) {
  const auto detail = Parse<v1::ModelDetail>(R"(
    state { name: "m" } parameters: 6738415616 quantisation: "Q4_K, Q6_K" context_length: 4096
    components { name: "a" dtype_bytes { key: "F32" value: 1024 } }
    components { name: "b" dtype_bytes { key: "Q4_K" value: 4096 }
                 dtype_bytes { key: "F32" value: 1024 } })");
  const std::string text = RenderDetail(detail, {});
  EXPECT_THAT(text, HasSubstr("Parameters      6.74 billion\n"));
  EXPECT_THAT(text, HasSubstr("Dtypes          Q4_K 4.00 KiB, F32 2.00 KiB\n"));
  EXPECT_THAT(text, HasSubstr("Quantisation    Q4_K, Q6_K\n"));
  EXPECT_THAT(text, HasSubstr("Context length  4096 tokens\n"));
}

TEST(RenderDetail, ARefusalIsToldOnceByTheFindings) {
  const auto detail = Parse<v1::ModelDetail>(R"(
    state { name: "half" verdict: "incomplete" error_code: "incomplete_model" }
    error_message: "incomplete, can't be used: m-2 is not there"
    findings { category: "file_corruption" severity: "error" verdict: "incomplete" path: "m-2"
               message: "m-2 is not there" })");
  const std::string text = RenderDetail(detail, {});
  EXPECT_THAT(text, Not(HasSubstr("Last error")));
  EXPECT_THAT(text, HasSubstr("  incomplete: m-2 is not there\n"));
  EXPECT_THAT(text, HasSubstr("Where      disk\n"));
}

TEST(RenderDetail, ExplainsFindingsAndCandidates) {
  const auto detail = Parse<v1::ModelDetail>(R"(
    state { name: "m" kind: "lora" override { kind: "lora" } verdict: "unsafe"
            format: "pytorch" layout: "file" }
    identified_kind: "checkpoint" requires_models: "sdxl" format_version: "3"
    architectures { name: "sdxl" confidence: 0.984 evidence: "two text encoders" }
    architectures { name: "sd1" confidence: 0.1 }
    findings { category: "unsafe_content" severity: "error" verdict: "unsafe" path: "m.pt"
               offset: 12 message: "it calls os.system" }
    findings { category: "file_corruption" severity: "warning" verdict: "ok" message: "odd\x1b" })");
  const std::string text = RenderDetail(detail, {});
  EXPECT_THAT(text, HasSubstr("lora (set by you); its files say checkpoint\n"));
  EXPECT_THAT(text, HasSubstr("pytorch 3 (file)\n"));
  EXPECT_THAT(text, HasSubstr("  sdxl (98%)\n    two text encoders\n  sd1 (10%)\n"));
  EXPECT_THAT(text, HasSubstr("  unsafe: m.pt, offset 12: it calls os.system\n"));
  EXPECT_THAT(text, HasSubstr("  warning (file_corruption): odd\\x1b\n"));
}

TEST(RenderCompatibility, SaysWhyNotAndWhatInstead) {
  const auto reply = Parse<v1::CompatibilityReply>(R"(
    device: "host:0, 1.00 GiB free"
    reasons { category: "device_memory" severity: "error" verdict: "unsupported"
              message: "it needs 2.00 GiB" }
    alternatives { name: "m-q4" format: "gguf" bytes: 1024 })");
  EXPECT_EQ(RenderCompatibility(reply, {}),
            "It can't be used on host:0, 1.00 GiB free.\nReasons\n"
            "  unsupported (device_memory): it needs 2.00 GiB\nInstead\n"
            "  m-q4 (gguf, 1.00 KiB)\n");
}

TEST(RenderComponents, ShowsHugePagesOfCachedOnes) {
  const auto detail = Parse<v1::ModelDetail>(R"(
    components { name: "unet" type: "unet" id: "ab" bytes: 4194304 tensors: 12
                 cache_state: CACHED huge_page_bytes: 2097152
                 dtype_bytes { key: "F16" value: 4194304 } shared_with: "other" }
    components { name: "vae" bytes: 10 })");
  const std::string text = RenderComponents(detail, {});
  EXPECT_THAT(text, HasSubstr("50%"));
  EXPECT_THAT(text, HasSubstr("F16 4.00 MiB"));
  EXPECT_THAT(text, HasSubstr("other"));
}

// Shards that are open by path and cached as one component, too.
TEST(RenderComponents, EveryByteInRamHasARow) {
  auto detail = Parse<v1::ModelDetail>(R"(
    state { raw_bytes: 8388608 path_bytes: 4194304 }
    components { name: "model" bytes: 4194304 raw_bytes: 4194304 cache_state: CACHED })");
  EXPECT_EQ(BytesBesideComponents(detail), 4194304u);
  EXPECT_THAT(RenderComponents(detail, {}), HasSubstr("(files by path)"));
  // A component that is a view of the file that is open by path.
  detail.mutable_state()->set_raw_bytes(4194304);
  EXPECT_THAT(RenderComponents(detail, {}), Not(HasSubstr("(files by path)")));
}

TEST(RenderWorkerView, SaysWhenMirrorAndWorkerDiffer) {
  const auto detail = Parse<v1::ModelDetail>("components { name: 'unet' id: 'ab' }");
  auto worker = Parse<v1::WorkerStateReply>(R"(
    epoch: 3 revision: 9 placements { component_id: "ab" pool: "dedicated" bytes: 1024 phase: "ready" }
    placements { component_id: "other" })");
  std::string text = RenderWorkerView("host:0", worker, detail, {});
  EXPECT_THAT(text, HasSubstr("Worker of host:0, after 9 changes: the daemon says OTHERWISE"));
  EXPECT_THAT(text, HasSubstr("unet       dedicated  1.00 KiB  ready"));
  worker.set_equal_to_mirror(true);
  worker.clear_placements();
  text = RenderWorkerView("host:0", worker, detail, {});
  EXPECT_THAT(text, HasSubstr("says the same\nit holds nothing of this model\n"));
}

TEST(RenderScan, NamesTheFirstFindingsAndCountsTheRest) {
  const auto scan = Parse<v1::ScanReply>(R"(
    models: 12 added: 2 files: 40 headers_read: 2 seconds: 0.42 findings_total: 3
    findings { path: "/m/bad.safetensors" code: "corrupted_model" verdict: "corrupt"
               message: "cut off" }
    findings { path: "/m" code: "permission_denied" message: "not yours" })");
  EXPECT_EQ(RenderScan(scan, {}),
            "12 models (2 added, 0 changed, 0 removed); 40 files looked at, 2 headers read in "
            "420 ms\n"
            "\n3 can't be used:\n"
            "VERDICT            PATH                REASON\n"
            "corrupt            /m/bad.safetensors  cut off\n"
            "permission_denied  /m                  not yours\n"
            "and 1 more\n");
}

TEST(RenderUsage, TellsHowWellRamServes) {
  const auto usage = Parse<v1::CacheUsage>(R"(
    memory { limit: 4194304 compressed: 2097152 } logical_bytes: 3145728 allocated_bytes: 2097152
    raw_accesses: 5 decoded_accesses: 3 loaded_accesses: 2 hit_rate: 0.8
    access_p50_seconds: 0.0001 access_p99_seconds: 0.5 time_saved: 0.75 balanced_score: 0.7
    adaptive_variance: 0.1
    compressed_dtypes { key: "BF16" value { raw_bytes: 3145728 compressed_bytes: 2097152 } }
    evictions { component: "old" seconds_since_last_use: 90 reason: "room for new" })");
  const std::string text = RenderUsage(usage, {});
  EXPECT_THAT(text, HasSubstr("3.00 MiB of models in 2.00 MiB\n"));
  EXPECT_THAT(text, HasSubstr("10: 5 found raw, 3 decoded, 2 loaded\n"));
  EXPECT_THAT(text, HasSubstr("80.0 %\n"));
  EXPECT_THAT(text, HasSubstr("p50 0.10 ms, p99 500.00 ms\n"));
  EXPECT_THAT(text, HasSubstr("3.00 MiB to 2.00 MiB (1.50:1)\n"));
  EXPECT_THAT(text, HasSubstr("old      1m 30s      room for new\n"));
  EXPECT_THAT(RenderUsage({}, {}), Not(HasSubstr("Hit rate")));
}

TEST(RenderPlan, ShowsWhatWouldLeave) {
  const auto plan = Parse<v1::PlanReply>(R"(
    model: "new" needed_bytes: 2097152 free_bytes: 1048576 seconds: 0.5
    steps { what: "component" component: "old/unet" bytes: 1048576 bring_back_seconds: 2
            reason: "low priority" })");
  EXPECT_EQ(RenderPlan(plan, {}),
            "new: needs 2.00 MiB of RAM, 1.00 MiB are free; would take about 500 ms\n"
            "WOULD LEAVE RAM  WHAT          FREES  BACK IN  WHY\n"
            "old/unet         component  1.00 MiB    2.0 s  low priority\n");
}

TEST(RenderPlan, SaysWhatNeedsNothingAndWhatFails) {
  EXPECT_EQ(RenderPlan(Parse<v1::PlanReply>("model: 'm' already_bytes: 1"), {}),
            "m: is in RAM already\nNothing would leave RAM.\n");
  EXPECT_EQ(RenderPlan(Parse<v1::PlanReply>("model: 'm' decoded_bytes: 2048 seconds: 0.5"), {}),
            "m: is in RAM already, 2.00 KiB of it compressed, which the device's worker decodes "
            "in about 500 ms\nNothing would leave RAM.\n");
  const auto refused = Parse<v1::PlanReply>(R"(
    model: "m" needed_bytes: 2048 device: "host:0" pool: "dedicated" device_needed_bytes: 2048
    device_free_bytes: 1024
    refused { code: "insufficient_device_memory" message: "host:0 has 1.00 KiB free" })");
  EXPECT_EQ(RenderPlan(refused, {}),
            "m: needs 2.00 KiB of RAM, 0 B are free; would take about 0 ms\n"
            "  on host:0: needs 2.00 KiB of its own, 1.00 KiB are free\n"
            "  would fail: insufficient_device_memory: host:0 has 1.00 KiB free\n");
}

TEST(RenderCached, TellsReadFromFoundInRam) {
  auto reply = Parse<v1::CacheReply>(
      "state { name: 'm' } loaded_bytes: 1073741824 huge_page_bytes: 1073741824 seconds: 0.5 "
      "evicted: 'old/unet'");
  EXPECT_EQ(RenderCached(reply),
            "m: read 1.00 GiB in 500 ms (2.00 GiB/s), 100% on huge pages\n  evicted old/unet\n");
  reply = Parse<v1::CacheReply>("state { name: 'm' } already_bytes: 1048576");
  EXPECT_EQ(RenderCached(reply), "m: 1.00 MiB were in RAM already\n");
}

TEST(RenderCached, NamesWhatWasSkipped) {
  const auto reply = Parse<v1::CacheReply>(R"(
    state { name: "m" } already_bytes: 1 skipped_total: 4
    skipped { what: "tensor" name: "w" category: "dtype_support" verdict: "unsupported"
              reason: "strided" }
    skipped { what: "file" name: "x" category: "format_version" verdict: "ok" reason: "odd" }
    skipped { what: "model" category: "file_corruption" verdict: "incomplete"
              reason: "a shard is missing" })");
  EXPECT_EQ(RenderCached(reply),
            "m: 1 B were in RAM already\n  skipped tensor w (unsupported): strided\n"
            "  noticed file x (warning): odd\n"
            "  skipped model (incomplete): a shard is missing\n  and 1 more\n");
}

TEST(RenderUncached, SaysWhatStaysAndWhy) {
  const auto reply = Parse<v1::UncacheReply>(
      "model: 'sd' freed_bytes: 1024 freed { component: 'unet' bytes: 1024 } "
      "kept { component: 'vae' bytes: 2048 reason: 'used by sdxl' }");
  EXPECT_EQ(RenderUncached(reply),
            "sd: freed 1.00 KiB (unet 1.00 KiB)\n  kept vae (2.00 KiB): used by sdxl\n");
  EXPECT_EQ(RenderUncached(Parse<v1::UncacheReply>("model: 'sd'")), "sd: was not in RAM\n");
}

TEST(RenderUnloaded, NamesWhatItFreedWhere) {
  const auto reply = Parse<v1::UnloadReply>(
      "model: 'sd' freed_bytes: 2048 freed { component: 'unet' bytes: 2048 device: 'host:0' }");
  EXPECT_EQ(RenderUnloaded(reply), "sd: freed 2.00 KiB (unet 2.00 KiB on host:0)\n");
}

TEST(RenderUnloaded, NamesWhatStaysForOtherModels) {
  const auto reply = Parse<v1::UnloadReply>(R"(
    model: 'sd' freed_bytes: 2048 freed { component: 'unet' bytes: 2048 device: 'host:0' }
    kept { component: 'vae' bytes: 1024 reason: 'stays on host:0 for turbo' })");
  EXPECT_EQ(RenderUnloaded(reply),
            "sd: freed 2.00 KiB (unet 2.00 KiB on host:0)\n"
            "  kept vae (1.00 KiB): stays on host:0 for turbo\n");
}

TEST(RenderCached, NamesTheSettingsThatItChanged) {
  const auto reply = Parse<v1::CacheReply>(R"(
    state { name: "m" } already_bytes: 1
    changed { setting: "strategy" before: "default" after: "memory" })");
  EXPECT_EQ(RenderCached(reply), "m: 1 B were in RAM already\n  strategy memory (was default)\n");
}

TEST(HeldBy, IsShortInTables) {
  const auto model = Parse<v1::ActiveModel>(R"(
    holders { pid: 1 command: "/usr/bin/python -c import warmset; serve everything" leases: 2 }
    holders { pid: 2 command: "b" leases: 1 } holders { pid: 3 command: "c" leases: 1 })");
  EXPECT_EQ(HeldBy(model.holders(), Holders::kShort),
            "1 python -c imp…rve everything (2); 2 b; +1 more");
  EXPECT_EQ(HeldBy(model.holders(), Holders::kAll),
            "1 /usr/bin/python -c import warmset; serve everything (2); 2 b; 3 c");
}

TEST(RenderPlan, SizesThatDifferReadDifferently) {
  const auto plan = Parse<v1::PlanReply>(R"(
    model: "m" needed_bytes: 1073741825 free_bytes: 1073741824 seconds: 1)");
  EXPECT_THAT(RenderPlan(plan, {}), HasSubstr("needs 1073741825 B of RAM, 1073741824 B are free"));
}

}  // namespace
}  // namespace warmset::cli
