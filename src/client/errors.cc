#include "client/errors.h"

#include <cerrno>
#include <cstring>

namespace warmset::inline client_v1::client_internal {

ClientError ErrnoError(int error_number, std::string_view action) {
  std::string_view code = "io_error";
  if (error_number == ENOENT || error_number == ENOTDIR) code = "file_not_found";
  if (error_number == EACCES || error_number == EPERM) code = "permission_denied";
  char buffer[128];
  const char* reason = ::strerror_r(error_number, buffer, sizeof buffer);
  return MakeError(code, std::string(action) + ": " + reason);
}

ClientError TimedOut() {
  return MakeError("timeout",
                   "the daemon does not answer; it may be stopped or busy: look at its log, then "
                   "ask again");
}

ClientError BadReply(std::string_view what) {
  return MakeError("internal", "the daemon's answer can't be used: " + std::string(what));
}

}  // namespace warmset::inline client_v1::client_internal
