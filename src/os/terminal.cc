#include "os/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace warmset::os {

bool IsTerminal(int fd) { return ::isatty(fd) == 1; }

unsigned TerminalColumns(int fd) {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

}  // namespace warmset::os
