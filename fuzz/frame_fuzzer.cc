// A stream of frames, cut at arbitrary places, and the requests in them.
#include "fuzz/fuzzer.h"
#include "wire/frame.h"
#include "wire/message_codec.h"

namespace warmset::wire {
namespace {

std::string FrameOf(Encoding encoding, std::string_view payload) {
  const auto size = static_cast<uint32_t>(payload.size());
  std::string frame(kFrameHeaderBytes, '\0');
  for (size_t i = 0; i < sizeof(size); ++i) frame[i] = static_cast<char>(size >> (8 * i));
  frame[4] = static_cast<char>(encoding);
  return frame.append(payload);
}

// Feeds the stream in pieces of `piece` bytes; what was received, in order.
std::string Received(std::span<const std::byte> stream, size_t piece) {
  std::string received;
  FrameReader reader;
  while (!stream.empty()) {
    const auto head = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(head.size());
    if (!reader.Append(head, {}).ok()) return received + "!";
    while (true) {
      auto frame = reader.Next();
      if (!frame.ok()) return received + "!";
      if (!frame->has_value()) break;
      Promise((*frame)->payload.size() <= kMaxPayloadBytes, "a frame is within the limit");
      received += (*frame)->payload + "|";
      const auto request = ParseRequest((*frame)->encoding, (*frame)->payload);
      if (!request.ok()) continue;
      const auto again = Serialize(Encoding::kProtobuf, *request);
      if (again.ok()) {
        Promise(ParseRequest(Encoding::kProtobuf, *again).ok(), "what was written is read");
      }
    }
  }
  return received;
}

}  // namespace
}  // namespace warmset::wire

using namespace warmset::wire;
namespace v1 = warmset::v1;

std::vector<std::string> Seeds() {
  v1::Request hello;
  hello.set_id(1);
  hello.mutable_hello()->set_protocol_major(kProtocolMajor);
  hello.mutable_hello()->set_client("fuzzer");
  v1::Request attach;
  attach.set_id(2);
  attach.mutable_attach()->set_model("sdxl");
  attach.mutable_attach()->add_components("unet");
  std::vector<std::string> seeds;
  for (const Encoding encoding : {Encoding::kProtobuf, Encoding::kJson}) {
    seeds.push_back(FrameOf(encoding, *Serialize(encoding, hello)) +
                    FrameOf(encoding, *Serialize(encoding, attach)));
  }
  return seeds;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto stream = Bytes(data, size);
  const std::string whole = Received(stream, size + 1);
  Promise(Received(stream, 7) == whole, "where a stream is cut does not matter");
  return 0;
}
