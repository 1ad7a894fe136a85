// Messages as the command line shows them with --json: docs/json.md.
#pragma once

#include <string>

#include "base/json_writer.h"
#include "base/status.h"
#include "google/protobuf/message.h"

namespace warmset::wire {

// The message as one JSON object with all its fields, named as in the .proto.
// Numbers are numbers, also those of 64 bits; enums are small letters without their
// type's name; a message or an optional field that is not set is null. Of a oneof
// only the field that is set is there.
void WriteJson(const google::protobuf::Message& message, JsonWriter& json);

// The same as an indented document that ends with a line break.
std::string ToPlainJson(const google::protobuf::Message& message);

// {"error": {"code", "message", "candidates"}}, likewise. REQUIRES: status is not OK.
std::string ErrorDocument(const Status& status);

}  // namespace warmset::wire
