#include "wire/message_codec.h"

#include <vector>

#include "fmt/format.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/stubs/logging.h"
#include "google/protobuf/util/json_util.h"

namespace warmset::wire {
namespace {

namespace pb = google::protobuf;

template <typename Message>
StatusOr<Message> Parse(Encoding encoding, std::string_view payload) {
  const pb::LogSilencer quiet;  // a peer must not fill the log; the status says it all
  Message message;
  if (encoding == Encoding::kProtobuf) {
    if (message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return message;
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("{} bytes that are no {}", payload.size(), message.GetTypeName()));
  }
  pb::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto parsed =
      pb::util::JsonStringToMessage({payload.data(), payload.size()}, &message, options);
  if (parsed.ok()) return message;
  return Error(ErrorCode::kInvalidRequest,
               fmt::format("JSON that is no {}: {}", message.GetTypeName(), parsed.ToString()));
}

StatusOr<std::string> SerializeMessage(Encoding encoding, const pb::Message& message) {
  std::string payload;
  if (encoding == Encoding::kProtobuf) {
    if (message.SerializeToString(&payload)) return payload;
    return Error(ErrorCode::kInvalidRequest, "a message above 2 GiB");
  }
  pb::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  const auto printed = pb::util::MessageToJsonString(message, &payload, options);
  if (printed.ok()) return payload;
  return Error(ErrorCode::kInternal,
               fmt::format("print {} as JSON: {}", message.GetTypeName(), printed.ToString()));
}

// Bytes of the valid UTF-8 character that text starts with; 0 when there is
// none (RFC 3629: shortest form, no surrogates, at most U+10FFFF).
size_t Utf8CharacterBytes(std::string_view text) {
  const auto byte = [&](size_t i) -> unsigned { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const size_t count = first >= 0xC2 && first < 0xE0   ? 2
                       : (first >> 4) == 0xE           ? 3
                       : first >= 0xF0 && first < 0xF5 ? 4
                                                       : 0;
  if (count == 0 || text.size() < count) return 0;
  for (size_t i = 1; i < count; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool shortest_and_defined =
      !(first == 0xE0 && second < 0xA0) && !(first == 0xED && second >= 0xA0) &&
      !(first == 0xF0 && second < 0x90) && !(first == 0xF4 && second >= 0x90);
  return shortest_and_defined ? count : 0;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t bytes = Utf8CharacterBytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

void MakeFieldUtf8(pb::Message& message, const pb::FieldDescriptor& field) {
  const pb::Reflection& reflection = *message.GetReflection();
  const int count = field.is_repeated() ? reflection.FieldSize(message, &field) : 1;
  std::string scratch;
  for (int i = 0; i < count; ++i) {
    if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      MakeUtf8(field.is_repeated() ? *reflection.MutableRepeatedMessage(&message, &field, i)
                                   : *reflection.MutableMessage(&message, &field));
      continue;
    }
    const std::string& text =
        field.is_repeated() ? reflection.GetRepeatedStringReference(message, &field, i, &scratch)
                            : reflection.GetStringReference(message, &field, &scratch);
    if (IsUtf8(text)) continue;
    if (field.is_repeated()) {
      reflection.SetRepeatedString(&message, &field, i, ToUtf8(text));
    } else {
      reflection.SetString(&message, &field, ToUtf8(text));
    }
  }
}

}  // namespace

void MakeUtf8(pb::Message& message) {
  std::vector<const pb::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (field->type() == pb::FieldDescriptor::TYPE_STRING ||
        field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      MakeFieldUtf8(message, *field);
    }
  }
}

std::string ToUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t bytes = Utf8CharacterBytes(text);
    if (bytes == 0) {
      out += "\xEF\xBF\xBD";  // U+FFFD
      text.remove_prefix(1);
    } else {
      out += text.substr(0, bytes);
      text.remove_prefix(bytes);
    }
  }
  return out;
}

StatusOr<v1::Request> ParseRequest(Encoding encoding, std::string_view payload) {
  return Parse<v1::Request>(encoding, payload);
}

StatusOr<v1::Response> ParseResponse(Encoding encoding, std::string_view payload) {
  return Parse<v1::Response>(encoding, payload);
}

StatusOr<std::string> Serialize(Encoding encoding, const v1::Request& request) {
  return SerializeMessage(encoding, request);
}

StatusOr<std::string> Serialize(Encoding encoding, const v1::Response& response) {
  return SerializeMessage(encoding, response);
}

v1::Error ToProto(const Status& status) {
  v1::Error error;
  error.set_code(std::string(ErrorCodeName(CodeOf(status))));
  error.set_message(std::string(Message(status)));
  for (const std::string& candidate : CandidatesOf(status)) error.add_candidates(candidate);
  return error;
}

Status FromProto(const v1::Error& error) {
  return WithCandidates(Error(ErrorCodeFromName(error.code()), error.message()),
                        {error.candidates().begin(), error.candidates().end()});
}

}  // namespace warmset::wire
