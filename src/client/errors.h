// Errors that the library itself makes; their codes are among docs/errors.md.
#pragma once

#include <string>
#include <string_view>

#include "warmset/result.h"

namespace warmset::inline client_v1::client_internal {

inline ClientError MakeError(std::string_view code, std::string message) {
  return ClientError{std::string(code), std::move(message), {}};
}

// "<action>: <strerror>"; ENOENT and EACCES have codes of their own, the rest is
// "io_error".
ClientError ErrnoError(int error_number, std::string_view action);

// The daemon was silent for longer than the caller waits.
ClientError TimedOut();

// The daemon sent something that can't be: nothing of it was used.
ClientError BadReply(std::string_view what);

}  // namespace warmset::inline client_v1::client_internal
