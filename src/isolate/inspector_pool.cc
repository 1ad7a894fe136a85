#include "isolate/inspector_pool.h"

#include <algorithm>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "fmt/format.h"
#include "inspect/shard_index.h"
#include "isolate/answer_check.h"
#include "isolate/messages.h"
#include "os/file.h"
#include "os/process.h"

namespace warmset {
namespace {

using border::Frame;
using border::FrameType;

// Gives a helper what it asks for, and remembers it.
class FilesToGive {
 public:
  FilesToGive(const ModelFiles& model, FileProvider& files) : files_(files) {
    for (const ManifestFile& file : model.files) sighted_.emplace(file.path, &file);
    if (!model.files.empty()) current_ = model.files.front().path;
  }

  StatusOr<os::UniqueFd> Open(const border::OpenRequest& request) {
    if (request.other) return OpenOther(request.path);
    if (!sighted_.contains(request.path)) {
      return Error(ErrorCode::kFileNotFound, fmt::format("there is no {}", request.path));
    }
    current_ = request.path;
    return files_.Open(request.path);
  }

  const GivenFiles& given() const { return given_; }
  // The file at hand.
  const std::string& current() const { return current_; }

  // What is said of the model when its reader ended: the file at hand is to blame.
  Manifest Blame(const ModelFiles& model, const HelperEnd& end) const {
    Manifest manifest;
    manifest.layout = model.layout;
    if (const auto file = sighted_.find(current_); file != sighted_.end()) {
      manifest.files.push_back(*file->second);
    }
    manifest.findings.push_back(FindingOfEnd(end, current_));
    return manifest;
  }

 private:
  StatusOr<os::UniqueFd> OpenOther(const std::string& path) {
    ASSIGN_OR_RETURN(os::UniqueFd fd, files_.OpenOther(path));
    ASSIGN_OR_RETURN(given_[path], os::Identify(fd.get()));
    return fd;
  }

  FileProvider& files_;
  std::map<std::string, const ManifestFile*> sighted_;
  GivenFiles given_;
  std::string current_;
};

Status NotAnAnswer() { return Error(ErrorCode::kCorruptedModel, "it is none to this request"); }

}  // namespace

InspectorPool::InspectorPool(InspectorPoolOptions options) : options_(std::move(options)) {}

InspectorPool::~InspectorPool() = default;

StatusOr<Inspected> InspectorPool::Inspect(const ModelFiles& model, FileProvider& files) {
  FilesToGive giving(model, files);
  os::UniqueFd first;  // saves most requests a round trip
  if (model.files.size() == 1) {
    // One that can't be opened is asked for, and the error is told as any other.
    if (auto opened = files.Open(model.files.front().path); opened.ok()) {
      first = *std::move(opened);
    }
  }
  Inspected inspected;
  const auto accept = [&](Frame& frame) -> Status {
    if (frame.type != FrameType::kManifest) return NotAnAnswer();
    ASSIGN_OR_RETURN(inspected.manifest, CheckAnswer(frame.payload, model, giving.given()));
    inspected.encoded = std::move(frame.payload);
    return OkStatus();
  };
  ASSIGN_OR_RETURN(
      const std::optional<HelperEnd> end,
      Ask(FrameType::kInspect, border::Encode(model), first.get(),
          [&](const border::OpenRequest& request) { return giving.Open(request); }, accept));
  if (end) {
    NoteEnd(*end, giving.current());
    inspected.manifest = giving.Blame(model, *end);
    inspected.encoded = EncodeManifest(inspected.manifest);
    inspected.lasting = end->lasting;
  }
  return inspected;
}

StatusOr<std::vector<std::string>> InspectorPool::ShardsOf(int index_fd) {
  std::vector<std::string> shards;
  const auto accept = [&](const Frame& frame) -> Status {
    if (frame.type != FrameType::kShards) return NotAnAnswer();
    ASSIGN_OR_RETURN(shards, border::DecodeNames(frame.payload));
    const bool bare = std::all_of(shards.begin(), shards.end(),
                                  [](const std::string& name) { return IsBareName(name); });
    return bare ? OkStatus() : NotAnAnswer();
  };
  RETURN_IF_ERROR(ReadList(FrameType::kListShards, index_fd, accept, "index"));
  return shards;
}

StatusOr<HubTree> InspectorPool::TreeOf(int tree_fd) {
  HubTree tree;
  const auto accept = [&](const Frame& frame) -> Status {
    if (frame.type != FrameType::kTree) return NotAnAnswer();
    ASSIGN_OR_RETURN(tree, border::DecodeHubTree(frame.payload));
    return OkStatus();
  };
  RETURN_IF_ERROR(ReadList(FrameType::kReadTree, tree_fd, accept, "tree of a commit"));
  return tree;
}

Status InspectorPool::ReadList(FrameType type, int fd, const Accept& accept,
                               std::string_view what) {
  const auto nothing = [](const border::OpenRequest&) -> StatusOr<os::UniqueFd> {
    return NotAnAnswer();
  };
  ASSIGN_OR_RETURN(const std::optional<HelperEnd> end, Ask(type, "", fd, nothing, accept));
  if (!end) return OkStatus();
  NoteEnd(*end, std::string(what));
  return Error(end->own_limit ? ErrorCode::kUnsupportedFormat : ErrorCode::kCorruptedModel,
               fmt::format("the process that read this {} {}", what, end->words));
}

StatusOr<std::optional<HelperEnd>> InspectorPool::Ask(FrameType type, std::string_view payload,
                                                      int fd, const HelperProcess::OpenFile& open,
                                                      const Accept& accept) {
  ASSIGN_OR_RETURN(Helper helper, Borrow());
  StatusOr<Frame> frame = helper->Call(
      type, payload, fd, options_.time_limit, [&](const border::OpenRequest& request) {
        // A disk may not answer: that takes no other's turn.
        CountOpening(1);
        auto file = open(request);
        CountOpening(-1);
        return file;
      });
  Status answer = frame.status();
  bool believed = false;
  if (frame.ok()) {
    const bool error = frame->type == FrameType::kError;
    answer = error ? border::DecodeError(frame->payload) : accept(*frame);
    believed = error || CodeOf(answer) != ErrorCode::kCorruptedModel;
  }
  if (believed) {
    if (frame->leaving) helper.reset();
    Return(std::move(helper));
    RETURN_IF_ERROR(answer);
    return std::nullopt;
  }
  HelperEnd end = helper->End(answer, options_.time_limit);
  end.pid = helper->pid();
  helper.reset();
  Return(nullptr);
  return end;
}

StatusOr<InspectorPool::Helper> InspectorPool::Borrow() {
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](InspectorPool* pool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(pool->mutex_) {
          return pool->busy_ < pool->options_.helpers + pool->opening_;
        },
        this));
    ++busy_;
    while (!idle_.empty()) {
      Helper helper = std::move(idle_.back());
      idle_.pop_back();
      if (helper->IsAlive()) return helper;
      HelperEnd end = helper->End(Error(ErrorCode::kIoError, "it is gone"), options_.time_limit);
      end.pid = helper->pid();
      NoteEnd(end, "");
    }
  }
  StatusOr<Helper> helper = Start();
  if (!helper.ok()) Return(nullptr);
  return helper;
}

StatusOr<InspectorPool::Helper> InspectorPool::Start() {
  const std::string program = options_.program.empty()
                                  ? os::ProgramDirectory() + "warmset-inspect"
                                  : options_.program;
  // std::function wants copyable captures.
  const auto started = std::make_shared<std::promise<StatusOr<Helper>>>();
  starter_.Submit([started, program, memory_limit = options_.memory_limit](std::stop_token) {
    started->set_value(HelperProcess::Start(program, memory_limit));
  });
  StatusOr<Helper> helper = started->get_future().get();
  if (helper.ok()) return helper;
  return Error(ErrorCode::kInternal,
               fmt::format("no model can be looked into, because {} can't be started: {}", program,
                           Message(helper.status())));
}

void InspectorPool::CountOpening(int change) {
  absl::MutexLock lock(&mutex_);
  opening_ += static_cast<unsigned>(change);
}

void InspectorPool::NoteEnd(const HelperEnd& end, const std::string& over) {
  const uint64_t ends = ++ends_;
  if (!options_.on_end) return;
  options_.on_end(
      fmt::format("process {} {}{}{}", end.pid, end.words, over.empty() ? "" : " over ", over),
      ends);
}

void InspectorPool::Return(Helper helper) {
  absl::MutexLock lock(&mutex_);
  --busy_;
  if (helper != nullptr) idle_.push_back(std::move(helper));
}

std::vector<pid_t> InspectorPool::IdleHelpers() {
  absl::MutexLock lock(&mutex_);
  std::vector<pid_t> pids;
  for (const Helper& helper : idle_) pids.push_back(helper->pid());
  return pids;
}

}  // namespace warmset
