#include "wire/plain_json.h"

#include <algorithm>
#include <map>

#include "base/nearest.h"
#include "google/protobuf/descriptor.h"
#include "wire/message_codec.h"

namespace warmset::wire {
namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

// "CacheState" as "cache_state_".
std::string PrefixOf(const pb::EnumDescriptor& type) {
  std::string prefix;
  for (const char c : type.name()) {
    if (c >= 'A' && c <= 'Z' && !prefix.empty()) prefix += '_';
    prefix += c;
  }
  return LowerCase(prefix) + "_";
}

std::string EnumName(const pb::EnumValueDescriptor& value) {
  const std::string name = LowerCase(value.name());
  const std::string prefix = PrefixOf(*value.type());
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

// One value of a field: the field itself, or its element with that index.
class Value {
 public:
  Value(const pb::Message& message, const Field& field, int index = -1)
      : message_(message), field_(field), index_(index) {}

  void Write(JsonWriter& json) const {
    const pb::Reflection& of = *message_.GetReflection();
    const bool one = index_ < 0;
    switch (field_.cpp_type()) {
      case Field::CPPTYPE_BOOL:
        return json.Bool(one ? of.GetBool(message_, &field_)
                             : of.GetRepeatedBool(message_, &field_, index_));
      case Field::CPPTYPE_INT32:
        return json.Integer(one ? of.GetInt32(message_, &field_)
                                : of.GetRepeatedInt32(message_, &field_, index_));
      case Field::CPPTYPE_INT64:
        return json.Integer(one ? of.GetInt64(message_, &field_)
                                : of.GetRepeatedInt64(message_, &field_, index_));
      case Field::CPPTYPE_UINT32:
        return json.Integer(one ? of.GetUInt32(message_, &field_)
                                : of.GetRepeatedUInt32(message_, &field_, index_));
      case Field::CPPTYPE_UINT64:
        return json.Integer(one ? of.GetUInt64(message_, &field_)
                                : of.GetRepeatedUInt64(message_, &field_, index_));
      case Field::CPPTYPE_DOUBLE:
        return json.Number(one ? of.GetDouble(message_, &field_)
                               : of.GetRepeatedDouble(message_, &field_, index_));
      case Field::CPPTYPE_FLOAT:
        return json.Number(one ? of.GetFloat(message_, &field_)
                               : of.GetRepeatedFloat(message_, &field_, index_));
      case Field::CPPTYPE_ENUM:
        return json.String(EnumName(*(one ? of.GetEnum(message_, &field_)
                                          : of.GetRepeatedEnum(message_, &field_, index_))));
      case Field::CPPTYPE_STRING:
        return json.String(Text());
      case Field::CPPTYPE_MESSAGE:
        return WriteJson(one ? of.GetMessage(message_, &field_)
                             : of.GetRepeatedMessage(message_, &field_, index_),
                         json);
    }
  }

  std::string Text() const {
    const pb::Reflection& of = *message_.GetReflection();
    return index_ < 0 ? of.GetString(message_, &field_)
                      : of.GetRepeatedString(message_, &field_, index_);
  }

 private:
  const pb::Message& message_;
  const Field& field_;
  const int index_;
};

// A map's entries in the order of their keys: the same content is the same text.
void WriteMap(const pb::Message& message, const Field& field, JsonWriter& json) {
  const pb::Reflection& of = *message.GetReflection();
  std::map<std::string, const pb::Message*> entries;
  for (int i = 0; i < of.FieldSize(message, &field); ++i) {
    const pb::Message& entry = of.GetRepeatedMessage(message, &field, i);
    entries[Value(entry, *field.message_type()->map_key()).Text()] = &entry;
  }
  json.BeginObject();
  for (const auto& [key, entry] : entries) {
    json.Key(key);
    Value(*entry, *field.message_type()->map_value()).Write(json);
  }
  json.EndObject();
}

void WriteField(const pb::Message& message, const Field& field, JsonWriter& json) {
  const pb::Reflection& of = *message.GetReflection();
  if (field.is_map()) return WriteMap(message, field, json);
  if (field.is_repeated()) {
    json.BeginArray();
    for (int i = 0; i < of.FieldSize(message, &field); ++i) Value(message, field, i).Write(json);
    return json.EndArray();
  }
  if (field.has_presence() && !of.HasField(message, &field)) return json.Null();
  Value(message, field).Write(json);
}

}  // namespace

void WriteJson(const pb::Message& message, JsonWriter& json) {
  const pb::Reflection& of = *message.GetReflection();
  json.BeginObject();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const Field& field = *message.GetDescriptor()->field(i);
    if (field.real_containing_oneof() != nullptr && !of.HasField(message, &field)) continue;
    json.Key(field.name());
    WriteField(message, field, json);
  }
  json.EndObject();
}

std::string ErrorDocument(const Status& status) {
  std::string text;
  JsonWriter json(text, JsonWriter::Form::kIndented);
  json.BeginObject();
  json.Key("error");
  WriteJson(ToProto(status), json);
  json.EndObject();
  return text + "\n";
}

std::string ToPlainJson(const pb::Message& message) {
  std::string text;
  JsonWriter json(text, JsonWriter::Form::kIndented);
  WriteJson(message, json);
  return text + "\n";
}

}  // namespace warmset::wire
