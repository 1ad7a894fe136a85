#include "isolate/helper_process.h"

#include <csignal>
#include <utility>

#include "fmt/format.h"
#include "isolate/helper_program.h"
#include "os/unix_socket.h"

namespace warmset {
namespace {

using border::Frame;
using border::FrameType;
using std::chrono::milliseconds;

constexpr milliseconds kStartTimeout{10'000};
// A process that closed its socket, or was killed, is gone at once.
constexpr milliseconds kEndTimeout{2'000};

border::Deadline After(milliseconds limit) { return std::chrono::steady_clock::now() + limit; }

}  // namespace

StatusOr<std::unique_ptr<HelperProcess>> HelperProcess::Start(const std::string& program,
                                                              uint64_t memory_bytes) {
  ASSIGN_OR_RETURN(auto ends, os::MakeSocketPair());
  ASSIGN_OR_RETURN(border::Border border, border::Border::WithDeadlines(std::move(ends.first)));
  ASSIGN_OR_RETURN(os::ChildProcess child, os::Spawn({program, fmt::to_string(memory_bytes)},
                                                     {{ends.second.get(), kBorderDescriptor}},
                                                     {std::string(kHelperTunables)}));
  ends.second.Reset();  // so that its end is seen
  std::unique_ptr<HelperProcess> helper(new HelperProcess(std::move(child), std::move(border)));
  RETURN_IF_ERROR(helper->AwaitReadiness());
  return helper;
}

Finding FindingOfEnd(const HelperEnd& end, std::string path) {
  if (end.own_limit) {
    return {.path = std::move(path),
            .verdict = Verdict::kUnsupported,
            .category = FindingCategory::kFormatVersion,
            .message = fmt::format("the process that read it {}: that is a limit of Warmset or of "
                                   "the system and says nothing of the file, which may be whole; "
                                   "inspect it again, or use it without Warmset",
                                   end.words)};
  }
  return {.path = std::move(path),
          .verdict = Verdict::kCorrupt,
          .category = FindingCategory::kFileCorruption,
          .message = fmt::format("the process that read it {}; the file is broken or made to do "
                                 "harm: get it again from where it comes from, and use no other "
                                 "program on it",
                                 end.words)};
}

HelperProcess::~HelperProcess() {
  if (reaped_) return;
  (void)os::SendSignal(child_, SIGKILL);  // one that has ended needs none
  (void)WaitAndReap();
}

Status HelperProcess::AwaitReadiness() {
  border_.SetDeadline(After(kStartTimeout));
  auto frame = border_.Receive(border::kMaxRequestBytes);
  if (!frame.ok()) {
    return Error(ErrorCode::kInternal,
                 fmt::format("it {} before it was ready",
                             End(frame.status(), kStartTimeout).words));
  }
  if (frame->type == FrameType::kError) {
    return Annotate(border::DecodeError(frame->payload), "its sandbox");
  }
  ASSIGN_OR_RETURN(const border::Readiness readiness, border::DecodeReadiness(frame->payload));
  if (frame->type != FrameType::kReady ||
      readiness != border::ReadinessOf(readiness.landlock_abi)) {
    return Error(ErrorCode::kVersionMismatch,
                 fmt::format("it is of version {}, this program of {}", readiness.program_version,
                             border::ReadinessOf(0).program_version));
  }
  return OkStatus();
}

bool HelperProcess::IsAlive() const {
  const auto ended = os::WaitForEnd(child_.pidfd.get(), milliseconds(0));
  return ended.ok() && !*ended;
}

StatusOr<Frame> HelperProcess::Call(FrameType type, std::string_view payload, int fd,
                                    milliseconds time_limit, const OpenFile& open) {
  border_.SetDeadline(After(time_limit));
  RETURN_IF_ERROR(border_.Send(type, payload, fd));
  while (true) {
    ASSIGN_OR_RETURN(Frame frame, border_.Receive(border::kMaxAnswerBytes));
    if (frame.type != FrameType::kOpen) return frame;
    ASSIGN_OR_RETURN(const border::OpenRequest request,
                     border::DecodeOpenRequest(frame.payload));
    const auto file = open(request);
    if (file.ok()) {
      RETURN_IF_ERROR(border_.Send(FrameType::kOpened, "", file->get()));
    } else {
      RETURN_IF_ERROR(border_.Send(FrameType::kError, border::Encode(file.status())));
    }
  }
}

HelperEnd HelperProcess::End(const Status& error, milliseconds time_limit) {
  if (CodeOf(error) == ErrorCode::kTimeout) {
    return {fmt::format("took longer than {:g} s", static_cast<double>(time_limit.count()) / 1000),
            /*lasting=*/false, /*own_limit=*/true};
  }
  if (CodeOf(error) == ErrorCode::kCorruptedModel) {
    return {fmt::format("gave an answer that can't be true ({})", Message(error)),
            /*lasting=*/true};
  }
  const auto end = WaitAndReap();
  if (!end.ok()) return {"ended", /*lasting=*/false};
  if (end->signal == 0 && end->exit_code == kOutOfMemoryExit) {
    return {"ran out of memory", /*lasting=*/true, /*own_limit=*/true};
  }
  // SIGKILL and SIGTERM come from outside: the system short of memory, a person.
  const bool outside = end->signal == SIGKILL || end->signal == SIGTERM || end->signal == 0;
  const bool killed = end->signal == SIGKILL || end->signal == SIGTERM;
  return {end->Words(), !outside, killed};
}

StatusOr<os::ProcessEnd> HelperProcess::WaitAndReap() {
  ASSIGN_OR_RETURN(const bool ended, os::WaitForEnd(child_.pidfd.get(), kEndTimeout));
  if (!ended) return Error(ErrorCode::kTimeout, "it has not ended");
  reaped_ = true;
  return os::ReapEnd(child_);
}

}  // namespace warmset
