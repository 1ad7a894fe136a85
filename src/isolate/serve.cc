#include "isolate/serve.h"

#include <utility>

#include "inspect/shard_index.h"
#include "isolate/messages.h"

namespace warmset {
namespace {

using border::Border;
using border::Frame;
using border::FrameType;

Status Unexpected() {
  return Error(ErrorCode::kInternal, "a frame that does not belong here");
}

// Asks the other side for each file.
class FilesAcross final : public FileProvider {
 public:
  // first: the only file's descriptor, when it came with the request.
  FilesAcross(Border& border, os::UniqueFd first) : border_(border), first_(std::move(first)) {}

  StatusOr<os::UniqueFd> Open(const std::string& path) override {
    if (first_.valid()) return std::move(first_);
    return Ask({.other = false, .path = path});
  }
  StatusOr<os::UniqueFd> OpenOther(const std::string& path) override {
    return Ask({.other = true, .path = path});
  }

 private:
  StatusOr<os::UniqueFd> Ask(const border::OpenRequest& request) {
    RETURN_IF_ERROR(border_.Send(FrameType::kOpen, border::Encode(request)));
    ASSIGN_OR_RETURN(Frame answer, border_.Receive(border::kMaxRequestBytes));
    if (answer.type == FrameType::kError) return border::DecodeError(answer.payload);
    if (answer.type != FrameType::kOpened || !answer.fd.valid()) return Unexpected();
    return std::move(answer.fd);
  }

  Border& border_;
  os::UniqueFd first_;
};

Frame MakeAnswer(FrameType type, std::string payload) {
  return {.type = type, .leaving = false, .payload = std::move(payload), .fd = {}};
}

// The answer to one request.
Frame Answer(Border& border, Frame request, const InspectFunction& inspect) {
  const auto failed = [](const Status& error) {
    return MakeAnswer(FrameType::kError, border::Encode(error));
  };
  if (request.type == FrameType::kListShards) {
    const auto names = ReadNamedFiles(request.fd.get());
    if (!names.ok()) return failed(names.status());
    return MakeAnswer(FrameType::kShards, border::Encode(*names));
  }
  if (request.type == FrameType::kReadTree) {
    const auto tree = ReadHubTree(request.fd.get());
    if (!tree.ok()) return failed(tree.status());
    return MakeAnswer(FrameType::kTree, border::Encode(*tree));
  }
  if (request.type != FrameType::kInspect) return failed(Unexpected());
  const auto model = border::DecodeModelFiles(request.payload);
  if (!model.ok()) return failed(model.status());
  FilesAcross files(border, std::move(request.fd));
  auto manifest = inspect(*model, files);
  if (!manifest.ok()) return failed(manifest.status());
  return MakeAnswer(FrameType::kManifest, *std::move(manifest));
}

}  // namespace

Status ServeInspections(Border border, uint32_t landlock_abi, const os::PeakMemory& peak,
                        const InspectFunction& inspect) {
  RETURN_IF_ERROR(
      border.Send(FrameType::kReady, border::Encode(border::ReadinessOf(landlock_abi))));
  while (true) {
    StatusOr<Frame> request = border.Receive(border::kMaxRequestBytes);
    if (!request.ok()) return OkStatus();  // nobody asks any more
    const Frame answer = Answer(border, *std::move(request), inspect);
    const bool leaving = peak.bytes() > kHelperKeeps;
    RETURN_IF_ERROR(border.Send(answer.type, answer.payload, -1, leaving));
    if (leaving) return OkStatus();
  }
}

}  // namespace warmset
