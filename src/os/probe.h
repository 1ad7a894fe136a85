// Tries what Warmset would like to use and can do without. Nothing is left
// behind. An error says what the kernel answered.
#pragma once

#include <string>

#include "base/status.h"

namespace warmset::os {

// Backs a memfd with a huge page by MADV_COLLAPSE.
Status ProbeHugePages();

// Makes an io_uring.
Status ProbeIoUring();

// Reads the start of a file with O_DIRECT.
Status ProbeDirectRead(const std::string& path);

// Whether this user may make files in a folder.
bool MayWrite(const std::string& folder);

// "6.1.0-13-amd64".
std::string KernelRelease();

}  // namespace warmset::os
