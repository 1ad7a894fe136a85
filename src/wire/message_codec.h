// Messages of the session protocol in a frame's payload, and errors in them.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "base/utf8.h"
#include "warmset/v1/session.pb.h"
#include "wire/frame.h"

namespace warmset::wire {

// A peer with another major version is refused. The minor version counts
// additions; both sides ignore fields that they do not know.
inline constexpr uint32_t kProtocolMajor = 1;
inline constexpr uint32_t kProtocolMinor = 2;
inline constexpr uint32_t kFirstMinorWithEvents = 2;

// kInvalidRequest when payload is no such message.
StatusOr<v1::Request> ParseRequest(Encoding encoding, std::string_view payload);
StatusOr<v1::Response> ParseResponse(Encoding encoding, std::string_view payload);

// REQUIRES: every string of the message is UTF-8, or the receiver rejects it.
StatusOr<std::string> Serialize(Encoding encoding, const v1::Request& request);
StatusOr<std::string> Serialize(Encoding encoding, const v1::Response& response);

// ToUtf8() for all strings in a message: paths, commands of other processes and
// the like may be anything.
void MakeUtf8(google::protobuf::Message& message);

// REQUIRES: status is not OK.
v1::Error ToProto(const Status& status);
Status FromProto(const v1::Error& error);

}  // namespace warmset::wire
