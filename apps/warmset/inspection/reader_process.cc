#include "inspection/reader_process.h"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "base/byte_reader.h"
#include "base/strong.h"
#include "discover/model_folder.h"
#include "fmt/format.h"
#include "inspect/inspect.h"
#include "inspection/readable_paths.h"
#include "inspection/target.h"
#include "isolate/border.h"
#include "isolate/helper_process.h"
#include "isolate/helper_program.h"
#include "isolate/messages.h"
#include "isolate/serve.h"
#include "os/process.h"
#include "os/sandbox.h"
#include "os/unix_socket.h"

namespace warmset::cli {
namespace {

using border::Border;
using border::Frame;
using border::FrameType;
using std::chrono::milliseconds;

constexpr uint64_t kMemoryLimit = kHelperMemoryBytes + 32 * kMiB;  // a walk takes some, too
constexpr uint64_t kOpenFiles = 4096;
constexpr milliseconds kTimeLimit{8'000};  // for one model
// Folders may be large, and disks slow.
constexpr std::chrono::hours kWalkLimit{24};
constexpr milliseconds kEndLimit{2'000};
constexpr uint64_t kMaxPathBytes = 64 * kKiB;

// What is looked at next.
struct Announcement {
  std::string path;
  std::string file;         // the model's only file, if it has just one
  std::vector<Finding> findings;  // what was noticed before it was opened
};

std::string Encode(const Target& target) {
  ByteWriter out;
  out.WriteString(target.path);
  const bool single = target.model.layout == ModelLayout::kFile && !target.model.files.empty();
  out.WriteString(single ? target.model.files.front().path : "");
  Manifest findings;
  findings.findings = target.findings;
  return out.Take() + EncodeManifest(findings);
}

StatusOr<Announcement> DecodeAnnouncement(std::string_view payload) {
  Announcement announcement;
  ByteReader in(AsBytes(payload));
  ASSIGN_OR_RETURN(announcement.path, in.ReadString(kMaxPathBytes));
  ASSIGN_OR_RETURN(announcement.file, in.ReadString(kMaxPathBytes));
  ASSIGN_OR_RETURN(Manifest findings, DecodeManifest(payload.substr(in.offset())));
  announcement.findings = std::move(findings.findings);
  return announcement;
}

// ---- in the sandbox

StatusOr<std::string> ManifestOf(const Target& target) {
  if (target.model.files.empty()) return EncodeManifest({});
  ModelFolder files(target.folder);
  return InspectModel(target.model, files);
}

// Sends what is at the path, from the target with that number on.
Status SendModels(Border& border, const std::string& path, size_t first) {
  const auto targets = FindTargets(path);
  if (!targets.ok()) {
    return border.Send(FrameType::kError, border::Encode(targets.status()), -1, /*leaving=*/true);
  }
  for (size_t i = first; i < targets->size(); ++i) {
    RETURN_IF_ERROR(border.Send(FrameType::kTarget, Encode((*targets)[i])));
    const auto manifest = ManifestOf((*targets)[i]);
    const bool last = i + 1 == targets->size();
    RETURN_IF_ERROR(manifest.ok()
                        ? border.Send(FrameType::kManifest, *manifest, -1, last)
                        : border.Send(FrameType::kError, border::Encode(manifest.status()), -1,
                                      last));
  }
  return OkStatus();
}

int ReadInSandbox(os::UniqueFd socket, const std::string& path, size_t first,
                  const std::vector<std::string>& readable) {
  std::set_new_handler([] { ::_exit(kOutOfMemoryExit); });
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    os::UniqueFd(standard).Reset();
  }
  Border border(std::move(socket));
  const auto sandbox = os::EnterSandbox({.profile = os::SandboxProfile::kReadOnlyCommand,
                                         .readable_paths = readable,
                                         .memory_bytes = kMemoryLimit,
                                         .open_files = kOpenFiles,
                                         .filter_system_calls = !os::kSanitized});
  if (!sandbox.ok()) {
    (void)border.Send(FrameType::kError, border::Encode(sandbox.status()));
    return 1;
  }
  const auto abi = static_cast<uint32_t>(sandbox->landlock_abi);
  const Status ready = border.Send(FrameType::kReady, border::Encode(border::ReadinessOf(abi)));
  return ready.ok() && SendModels(border, path, first).ok() ? 0 : 1;
}

// ---- outside

// How the reader ended that did not answer.
HelperEnd EndOf(const Status& error, const os::ChildProcess& child) {
  if (CodeOf(error) == ErrorCode::kTimeout) {
    return {.words = fmt::format("took longer than {} s", kTimeLimit.count() / 1000),
            .own_limit = true};
  }
  if (CodeOf(error) == ErrorCode::kCorruptedModel) {
    return {.words = fmt::format("gave an answer that can't be true ({})", Message(error))};
  }
  const auto ended = os::WaitForEnd(child.pidfd.get(), kEndLimit);
  const auto end = ended.ok() && *ended ? os::ReapEnd(child) : StatusOr<os::ProcessEnd>(error);
  if (!end.ok()) return {.words = "ended"};
  if (end->signal == 0 && end->exit_code == kOutOfMemoryExit) {
    return {.words = "ran out of memory", .own_limit = true};
  }
  return {.words = end->Words(), .own_limit = end->signal == SIGKILL || end->signal == SIGTERM};
}

class Reading {
 public:
  Reading(const std::string& path, const OnModel& on_model)
      : path_(path), on_model_(on_model), readable_(ReadablePaths(path)) {}

  Status Run() {
    while (!done_) {
      ASSIGN_OR_RETURN(auto ends, os::MakeSocketPair());
      ASSIGN_OR_RETURN(Border border, Border::WithDeadlines(std::move(ends.first)));
      os::UniqueFd& theirs = ends.second;
      ASSIGN_OR_RETURN(const os::ChildProcess child, os::Fork([&] {
                         return ReadInSandbox(std::move(theirs), path_, next_, readable_);
                       }));
      theirs.Reset();  // so that its end is seen
      RETURN_IF_ERROR(Receive(border, child));
      (void)os::SendSignal(child, SIGKILL);  // one that has ended needs none
      (void)os::WaitForEnd(child.pidfd.get(), kEndLimit);
      (void)os::ReapEnd(child);
    }
    return OkStatus();
  }

 private:
  // Until the reader is done, or has ended, and the model at hand was told.
  Status Receive(Border& border, const os::ChildProcess& child) {
    border.SetDeadline(std::chrono::steady_clock::now() + kTimeLimit);
    auto frame = border.Receive(border::kMaxRequestBytes);
    if (frame.ok() && frame->type == FrameType::kError) {
      return Annotate(border::DecodeError(frame->payload), "the sandbox of the reader");
    }
    if (!frame.ok() || frame->type != FrameType::kReady) {
      return Error(ErrorCode::kInternal, "the reader can't be started");
    }
    while (!done_) {
      const Status received = ReceiveOne(border);
      if (received.ok()) continue;
      Blame(EndOf(received, child));
      return OkStatus();
    }
    return OkStatus();
  }

  Status ReceiveOne(Border& border) {
    const auto limit = current_ ? kTimeLimit : milliseconds(kWalkLimit);
    border.SetDeadline(std::chrono::steady_clock::now() + limit);
    ASSIGN_OR_RETURN(Frame frame, border.Receive(border::kMaxAnswerBytes));
    switch (frame.type) {
      case FrameType::kTarget: {
        ASSIGN_OR_RETURN(current_, DecodeAnnouncement(frame.payload));
        return OkStatus();
      }
      case FrameType::kManifest: {
        if (!current_) break;
        ASSIGN_OR_RETURN(Manifest manifest, DecodeManifest(frame.payload));
        frame.payload = {};  // it may be large, and so is what is made of the manifest
        Tell(std::move(manifest), frame.leaving);
        return OkStatus();
      }
      case FrameType::kError:
        Tell(border::DecodeError(frame.payload), frame.leaving);
        return OkStatus();
      default:
        break;
    }
    return Error(ErrorCode::kCorruptedModel, "it is of no type that is expected");
  }

  void Tell(StatusOr<Manifest> manifest, bool last) {
    if (manifest.ok()) {
      auto& findings = manifest->findings;
      // What is said of a model's only file is said of the model.
      for (Finding& finding : findings) {
        if (finding.path == current_->file) finding.path.clear();
      }
      findings.insert(findings.end(), current_->findings.begin(), current_->findings.end());
    }
    on_model_(current_ ? current_->path : path_, std::move(manifest));
    current_.reset();
    ++next_;
    done_ = last;
  }

  void Blame(const HelperEnd& end) {
    const bool walking = !current_.has_value();
    if (walking) current_ = Announcement{.path = path_, .file = {}, .findings = {}};
    Manifest manifest;
    manifest.findings.push_back(FindingOfEnd(end, ""));
    // A walk would end another reader at the same place.
    Tell(std::move(manifest), /*last=*/walking);
  }

  const std::string& path_;
  const OnModel& on_model_;
  const std::vector<std::string> readable_;
  size_t next_ = 0;  // the number of models that were told
  bool done_ = false;
  std::optional<Announcement> current_;
};

}  // namespace

Status ReadModels(const std::string& path, const OnModel& on_model) {
  return Reading(path, on_model).Run();
}

}  // namespace warmset::cli
