// One helper process, seen from the side that it serves.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "inspect/finding.h"
#include "isolate/border.h"
#include "isolate/messages.h"
#include "os/process.h"

namespace warmset {

// A variable of helpers' environment. For large headers: memory in huge pages, kept
// for the next use, since taking it from the kernel costs more than reading into it.
inline constexpr std::string_view kHelperTunables =
    "GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824";

// How a helper ended that did not answer.
struct HelperEnd {
  std::string words;       // "ran out of memory", "was killed by SIGSEGV"
  bool lasting = false;    // the same files would end it again
  bool own_limit = false;  // a limit of ours or the system's, which says nothing of the files
  pid_t pid = 0;
};

// What is said of the file that was being read.
Finding FindingOfEnd(const HelperEnd& end, std::string path);

// Not thread-safe. The helper gets SIGTERM when the thread that started it ends.
class HelperProcess {
 public:
  // Returns when it is ready. An error says why no helper can be had here.
  static StatusOr<std::unique_ptr<HelperProcess>> Start(const std::string& program,
                                                        uint64_t memory_bytes);
  // Kills it.
  ~HelperProcess();
  HelperProcess(const HelperProcess&) = delete;
  HelperProcess& operator=(const HelperProcess&) = delete;

  pid_t pid() const { return child_.pid; }
  // False when it has ended while nobody asked it anything.
  bool IsAlive() const;

  // Opens what the helper asks for.
  using OpenFile = std::function<StatusOr<os::UniqueFd>(const border::OpenRequest& request)>;

  // One request: the frame that ends it, of any type. On error End() says more:
  // kTimeout, kIoError (it is gone), kCorruptedModel (it broke the protocol).
  StatusOr<border::Frame> Call(border::FrameType type, std::string_view payload, int fd,
                               std::chrono::milliseconds time_limit, const OpenFile& open);

  // Ends it after a Call() that failed with that error; call once, as the last.
  HelperEnd End(const Status& error, std::chrono::milliseconds time_limit);

 private:
  HelperProcess(os::ChildProcess child, border::Border border)
      : child_(std::move(child)), border_(std::move(border)) {}
  Status AwaitReadiness();
  StatusOr<os::ProcessEnd> WaitAndReap();

  const os::ChildProcess child_;
  border::Border border_;
  bool reaped_ = false;
};

}  // namespace warmset
