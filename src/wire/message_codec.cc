#include "wire/message_codec.h"

#include <unordered_map>
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

bool MayHoldText(const pb::FieldDescriptor& field) {
  return field.type() == pb::FieldDescriptor::TYPE_STRING ||
         field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
}

// Where a message may hold text: looking through all fields of a large oneof for the one
// that is set takes longer than answering most requests.
struct TextFields {
  std::vector<const pb::FieldDescriptor*> fields;  // of type string or message
  std::vector<const pb::OneofDescriptor*> oneofs;
};

const TextFields& TextFieldsOf(const pb::Descriptor& type) {
  thread_local std::unordered_map<const pb::Descriptor*, TextFields> known;
  const auto [found, added] = known.try_emplace(&type);
  if (!added) return found->second;
  TextFields& text = found->second;
  for (int i = 0; i < type.field_count(); ++i) {
    const pb::FieldDescriptor* const field = type.field(i);
    if (field->containing_oneof() == nullptr && MayHoldText(*field)) text.fields.push_back(field);
  }
  for (int i = 0; i < type.oneof_decl_count(); ++i) text.oneofs.push_back(type.oneof_decl(i));
  return text;
}

void MakeFieldUtf8(pb::Message& message, const pb::FieldDescriptor& field) {
  const pb::Reflection& reflection = *message.GetReflection();
  const bool is_message = field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
  int count = 1;
  if (field.is_repeated()) {
    count = reflection.FieldSize(message, &field);
  } else if (is_message && !reflection.HasField(message, &field)) {
    return;
  }
  std::string scratch;
  for (int i = 0; i < count; ++i) {
    if (is_message) {
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
  const TextFields& text = TextFieldsOf(*message.GetDescriptor());
  for (const pb::FieldDescriptor* field : text.fields) MakeFieldUtf8(message, *field);
  for (const pb::OneofDescriptor* oneof : text.oneofs) {
    const pb::FieldDescriptor* const set =
        message.GetReflection()->GetOneofFieldDescriptor(message, oneof);
    if (set != nullptr && MayHoldText(*set)) MakeFieldUtf8(message, *set);
  }
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
  const std::optional<uint64_t> offset = OffsetOf(status);
  if (offset && CodeOf(status) == ErrorCode::kIoError) error.set_offset(*offset);
  return error;
}

Status FromProto(const v1::Error& error) {
  return WithCandidates(Error(ErrorCodeFromName(error.code()), error.message()),
                        {error.candidates().begin(), error.candidates().end()});
}

}  // namespace warmset::wire
