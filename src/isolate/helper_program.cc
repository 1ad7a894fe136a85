#include "isolate/helper_program.h"

#include <unistd.h>

#include <new>

#include "isolate/messages.h"
#include "os/sandbox.h"
#include "os/system_memory.h"
#include "os/unique_fd.h"

namespace warmset {
namespace {

// Every further file of an ONNX model stays open while it is read, and exporters
// write one for each tensor.
constexpr uint64_t kOpenFiles = 4096;

[[noreturn]] void EndOutOfMemory() { ::_exit(kOutOfMemoryExit); }

}  // namespace

int RunHelper(uint64_t memory_bytes, const InspectFunction& inspect) {
  std::set_new_handler(&EndOutOfMemory);
  // The terminal's, or the log's, of who started it: none of a reader's business.
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    os::UniqueFd(standard).Reset();
  }
  border::Border border{os::UniqueFd(kBorderDescriptor)};
  const os::PeakMemory peak = os::PeakMemory::Open();
  const auto sandbox =
      os::EnterSandbox({.memory_bytes = memory_bytes,
                        .open_files = kOpenFiles,
                        .filter_system_calls = !os::kSanitized});
  if (!sandbox.ok()) {
    (void)border.Send(border::FrameType::kError, border::Encode(sandbox.status()));
    return 1;
  }
  const auto abi = static_cast<uint32_t>(sandbox->landlock_abi);
  return ServeInspections(std::move(border), abi, peak, inspect).ok() ? 0 : 1;
}

}  // namespace warmset
