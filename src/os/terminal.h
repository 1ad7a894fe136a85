#pragma once

namespace warmset::os {

bool IsTerminal(int fd);

// The columns of the terminal that fd is; 0 when it is none or does not say.
unsigned TerminalColumns(int fd);

}  // namespace warmset::os
