// The client's own encoding against protobuf's generated code.
#include "client/proto_wire.h"

#include <random>
#include <string>
#include <vector>

#include "client/messages.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "warmset/v1/session.pb.h"

namespace warmset::inline client_v1::client_internal {
namespace {

using testing::ElementsAre;

// A request as the generated code writes it.
template <typename Fill>
std::string Expected(uint64_t id, Fill fill) {
  v1::Request request;
  request.set_id(id);
  fill(request);
  return request.SerializeAsString();
}

TEST(ProtoWire, RequestsAreByteForByteThoseOfTheGeneratedCode) {
  for (const uint64_t id : {uint64_t{1}, uint64_t{127}, uint64_t{128}, ~uint64_t{0}}) {
    EXPECT_EQ(WithId(id, EncodeHello("tést", 300)), Expected(id, [](v1::Request& request) {
                request.mutable_hello()->set_protocol_major(kProtocolMajor);
                request.mutable_hello()->set_protocol_minor(kProtocolMinor);
                request.mutable_hello()->set_client("tést");
                request.mutable_hello()->set_held_bytes(300);
              }));
  }
  EXPECT_EQ(WithId(2, EncodeListModels("")),
            Expected(2, [](v1::Request& request) { request.mutable_list_models(); }));
  const std::vector<std::string> names = {"a", "", std::string(300, 'x')};
  EXPECT_EQ(WithId(3, EncodeGetModelState(names)), Expected(3, [&](v1::Request& request) {
              for (const auto& name : names) request.mutable_get_model_state()->add_names(name);
            }));
  EXPECT_EQ(WithId(4, EncodeCache("sdxl")),
            Expected(4, [](v1::Request& request) { request.mutable_cache()->set_model("sdxl"); }));
  EXPECT_EQ(WithId(4, EncodePreload("sdxl")), Expected(4, [](v1::Request& request) {
              request.mutable_preload_model()->set_model("sdxl");
            }));
  const AttachRequest attach{.model = "sdxl",
                             .component = "unet",
                             .device = "host:0",
                             .file = true,
                             .file_path = "/m/a.safetensors",
                             .tensors = {"a", ""}};
  EXPECT_EQ(WithId(5, EncodeAttach(attach)), Expected(5, [](v1::Request& request) {
              request.mutable_attach()->set_model("sdxl");
              request.mutable_attach()->add_components("unet");
              request.mutable_attach()->set_device("host:0");
              request.mutable_attach()->set_file(true);
              request.mutable_attach()->set_file_path("/m/a.safetensors");
              request.mutable_attach()->add_tensors("a");
              request.mutable_attach()->add_tensors("");
            }));
  const std::vector<uint64_t> leases = {1, 300, ~uint64_t{0}};
  EXPECT_EQ(WithId(6, EncodeRelease(leases)), Expected(6, [&](v1::Request& request) {
              for (const uint64_t lease : leases) request.mutable_release()->add_leases(lease);
            }));
}

TEST(ProtoWire, TextThatIsNotUtf8DoesNotSpoilTheMessage) {
  for (const char* text : {"\xFF", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"}) {
    v1::Request request;
    ASSERT_TRUE(request.ParseFromString(WithId(1, EncodeCache(text)))) << text;
    EXPECT_EQ(request.cache().model(), std::string(std::string_view(text).size(), '?'));
  }
  v1::Request request;
  ASSERT_TRUE(request.ParseFromString(WithId(1, EncodeCache("a€😀"))));
  EXPECT_EQ(request.cache().model(), "a€😀");
}

v1::ModelState SampleState() {
  v1::ModelState state;
  state.set_name("stabilityai/sdxl");
  state.set_id("0123");
  state.set_bytes(uint64_t{1} << 40);
  state.set_format("safetensors");
  state.set_layout("diffusers");
  state.set_kind("checkpoint");
  state.set_architecture("sdxl");
  state.set_verdict("unsafe");
  state.set_cache_state(v1::PARTLY_CACHED);
  state.set_cached_bytes(77);
  state.set_strategy("memory");
  state.set_raw_bytes(3);
  state.set_compressed_bytes(2);
  auto* placed = state.add_devices();
  placed->set_device("host:0");
  placed->set_bytes(5);
  state.set_leases(3);
  state.set_last_used_unix_ms(-1);
  state.set_error_code("io_error");
  return state;
}

void ExpectSample(const ModelState& state) {
  EXPECT_EQ(state.name, "stabilityai/sdxl");
  EXPECT_EQ(state.id, "0123");
  EXPECT_EQ(state.bytes, uint64_t{1} << 40);
  EXPECT_EQ(state.format, "safetensors");
  EXPECT_EQ(state.layout, "diffusers");
  EXPECT_EQ(state.kind, "checkpoint");
  EXPECT_EQ(state.architecture, "sdxl");
  EXPECT_EQ(state.verdict, "unsafe");
  EXPECT_EQ(state.cache_state, CacheState::kPartlyCached);
  EXPECT_EQ(state.cached_bytes, 77u);
  EXPECT_EQ(state.strategy, "memory");
  EXPECT_EQ(state.raw_bytes, 3U);
  EXPECT_EQ(state.compressed_bytes, 2U);
  ASSERT_EQ(state.devices.size(), 1u);
  EXPECT_EQ(state.devices[0].device, "host:0");
  EXPECT_EQ(state.devices[0].bytes, 5u);
  EXPECT_EQ(state.leases, 3u);
  EXPECT_EQ(state.last_used_unix_ms, -1);
  EXPECT_EQ(state.error_code, "io_error");
}

TEST(ProtoWire, ResponsesSayWhatTheGeneratedCodeWrote) {
  v1::Response models;
  models.set_id(9);
  models.set_more(true);
  *models.mutable_models()->add_models() = SampleState();
  const auto models_reply = DecodeReply(models.SerializeAsString());
  ASSERT_TRUE(models_reply);
  EXPECT_EQ(models_reply->id, 9u);
  EXPECT_TRUE(models_reply->more);
  ASSERT_EQ(models_reply->models.size(), 1u);
  ExpectSample(models_reply->models[0]);

  v1::Response states;
  *states.mutable_states()->add_results()->mutable_state() = SampleState();
  v1::Error& error = *states.mutable_states()->add_results()->mutable_error();
  error.set_code("ambiguous_name");
  error.set_message("which?");
  error.add_candidates("a");
  error.add_candidates("b");
  const auto states_reply = DecodeReply(states.SerializeAsString());
  ASSERT_TRUE(states_reply);
  ASSERT_EQ(states_reply->states.size(), 2u);
  ExpectSample(states_reply->states[0].value());
  EXPECT_EQ(states_reply->states[1].error().code, "ambiguous_name");
  EXPECT_EQ(states_reply->states[1].error().message, "which?");
  EXPECT_THAT(states_reply->states[1].error().candidates, ElementsAre("a", "b"));

  v1::Response cached;
  *cached.mutable_cache()->mutable_state() = SampleState();
  cached.mutable_cache()->set_seconds(1.5);  // a field that the client skips
  const auto cached_reply = DecodeReply(cached.SerializeAsString());
  ASSERT_TRUE(cached_reply && cached_reply->cached);
  ExpectSample(*cached_reply->cached);

  v1::Response attached;
  v1::AttachedComponent& component = *attached.mutable_attached();
  component.set_model("sdxl");
  component.set_component("unet");
  component.set_type("unet_type");
  component.set_lease(11);
  component.set_bytes(12);
  component.set_index_fd(2);
  for (const uint32_t fd : {0u, 1u}) {
    auto* chunk = component.add_chunks();
    chunk->set_fd(fd);
    chunk->set_bytes(6);
  }
  const auto attached_reply = DecodeReply(attached.SerializeAsString());
  ASSERT_TRUE(attached_reply && attached_reply->attached);
  EXPECT_EQ(attached_reply->attached->model, "sdxl");
  EXPECT_EQ(attached_reply->attached->component, "unet");
  EXPECT_EQ(attached_reply->attached->type, "unet_type");
  EXPECT_EQ(attached_reply->attached->lease, 11u);
  EXPECT_EQ(attached_reply->attached->bytes, 12u);
  EXPECT_EQ(attached_reply->attached->index_fd, 2u);
  ASSERT_EQ(attached_reply->attached->chunks.size(), 2u);
  EXPECT_EQ(attached_reply->attached->chunks[1].fd, 1u);
  EXPECT_EQ(attached_reply->attached->chunks[1].bytes, 6u);

  v1::Response progress;
  progress.mutable_progress()->set_stage("read");
  progress.mutable_progress()->set_done(1);
  progress.mutable_progress()->set_total(2);
  progress.mutable_progress()->set_unit("bytes");
  progress.mutable_progress()->set_item("unet");
  const auto progress_reply = DecodeReply(progress.SerializeAsString());
  ASSERT_TRUE(progress_reply && progress_reply->progress);
  EXPECT_EQ(progress_reply->progress->stage, "read");
  EXPECT_EQ(progress_reply->progress->done, 1u);
  EXPECT_EQ(progress_reply->progress->total, 2u);
  EXPECT_EQ(progress_reply->progress->unit, "bytes");
  EXPECT_EQ(progress_reply->progress->item, "unet");
}

TEST(ProtoWire, BrokenMessagesAreRefusedWhereverTheyBreak) {
  v1::Response response;
  response.set_id(300);
  *response.mutable_states()->add_results()->mutable_state() = SampleState();
  const std::string whole = response.SerializeAsString();
  for (size_t cut = 0; cut < whole.size(); ++cut) {
    v1::Response parsed;
    const std::string part = whole.substr(0, cut);
    EXPECT_EQ(DecodeReply(part).has_value(), parsed.ParseFromString(part)) << cut;
  }
  EXPECT_FALSE(DecodeReply(std::string(11, '\xFF')));     // a varint without end
  EXPECT_FALSE(DecodeReply(std::string("\0\0", 2)));      // field 0
  EXPECT_FALSE(DecodeReply("\x0B"));                      // a group
  EXPECT_FALSE(DecodeReply("\x1A\xFF\xFF\xFF\xFF\x0F"));  // a length beyond the end
}

TEST(ProtoWire, RandomBytesAreNoDanger) {
  std::mt19937 random(1);  // NOLINT: the same bytes each time
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 64, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % (round % 2 == 0 ? 256 : 20));
    (void)DecodeReply(bytes);
  }
}

}  // namespace
}  // namespace warmset::inline client_v1::client_internal
