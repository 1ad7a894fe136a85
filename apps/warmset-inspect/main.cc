// Reads models' files for a process that believes none of them, which starts it
// with its socket as descriptor 3; docs/design/inspect.md, "The process border".
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string_view>

#include "isolate/helper_program.h"
#include "os/signal_fd.h"

int main(int argc, char** argv) {
  uint64_t memory_bytes = 0;
  const std::string_view given = argc == 2 ? argv[1] : "";
  const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), memory_bytes);
  if (error != std::errc() || end != given.data() + given.size()) {
    std::fputs("warmset-inspect reads models for warmsetd; not to be started by hand.\n", stderr);
    return 2;
  }
  // A terminal's Ctrl-C reaches the whole process group; who started it ends it.
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
  warmset::os::IgnoreFileSizeSignal();
  warmset::os::IgnorePipeSignal();
  return warmset::RunHelper(memory_bytes);
}
