// What lies where the weights should be, when a download went wrong.
#pragma once

#include "base/status.h"
#include "inspect/format_reader.h"

namespace warmset {

// kIncompleteModel for a Git LFS pointer, a web page or a server's error message;
// kAccessRestricted for those that ask for a licence or a login. No format begins
// like these.
Status CheckNoStandIn(const FileStart& start);

}  // namespace warmset
