#pragma once

#include <string>

#include "base/status.h"

namespace warmset::wire {

// Where the daemon listens: $WARMSET_SOCKET, else
// $XDG_RUNTIME_DIR/warmset/warmset.sock, else /tmp/warmset-$UID/warmset.sock.
// An empty variable counts as unset.
std::string SocketPath();

// For the daemon, before it binds: makes the folder of a path that SocketPath()
// chose by itself, mode 0700. kPermissionDenied when it belongs to someone else
// or others may write to it. A folder that $WARMSET_SOCKET names must exist.
Status PrepareSocketFolder(const std::string& socket_path);

// For clients, before they connect: kPermissionDenied when such a folder
// belongs to someone else, who could answer in the daemon's place.
Status CheckSocketFolder(const std::string& socket_path);

}  // namespace warmset::wire
