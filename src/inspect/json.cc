#include "inspect/json.h"

namespace warmset {

namespace json = simdjson::ondemand;

namespace {

simdjson::error_code ValidateArray(json::value value, size_t max_depth) {
  json::array array;
  if (const auto error = value.get_array().get(array)) return error;
  for (auto item : array) {
    json::value element;
    if (const auto error = std::move(item).get(element)) return error;
    if (const auto error = ValidateJson(element, max_depth)) return error;
  }
  return simdjson::SUCCESS;
}

simdjson::error_code ValidateObject(json::value value, size_t max_depth) {
  json::object object;
  if (const auto error = value.get_object().get(object)) return error;
  for (auto item : object) {
    json::field field;
    std::string_view key;
    if (const auto error = std::move(item).get(field)) return error;
    if (const auto error = field.unescaped_key().get(key)) return error;
    if (const auto error = ValidateJson(field.value(), max_depth)) return error;
  }
  return simdjson::SUCCESS;
}

}  // namespace

simdjson::error_code ValidateJson(json::value value, size_t max_depth) {
  json::json_type type{};
  if (const auto error = value.type().get(type)) return error;
  switch (type) {
    case json::json_type::array:
    case json::json_type::object:
      if (max_depth == 0) return simdjson::DEPTH_ERROR;
      return type == json::json_type::array ? ValidateArray(value, max_depth - 1)
                                            : ValidateObject(value, max_depth - 1);
    case json::json_type::string: {
      std::string_view text;
      return value.get_string().get(text);
    }
    case json::json_type::number: {
      double number = 0;  // also integers that no integer type holds
      return value.get_double().get(number);
    }
    case json::json_type::boolean: {
      bool truth = false;
      return value.get_bool().get(truth);
    }
    case json::json_type::null: {
      bool null = false;
      if (const auto error = value.is_null().get(null)) return error;
      return null ? simdjson::SUCCESS : simdjson::N_ATOM_ERROR;
    }
  }
  return simdjson::UNEXPECTED_ERROR;
}

std::string_view JsonErrorText(simdjson::error_code error) {
  switch (error) {
    case simdjson::DEPTH_ERROR:
      return "it is nested too deep";
    case simdjson::INCORRECT_TYPE:
      return "a value has the wrong type";
    case simdjson::NUMBER_ERROR:
    case simdjson::NUMBER_OUT_OF_RANGE:
      return "a number is malformed or out of range";
    case simdjson::STRING_ERROR:
      return "a string has a wrong escape";
    case simdjson::UTF8_ERROR:
      return "it is not UTF-8";
    case simdjson::UNCLOSED_STRING:
      return "a string has no end";
    case simdjson::UNESCAPED_CHARS:
      return "a string has a control character";
    case simdjson::INCOMPLETE_ARRAY_OR_OBJECT:
      return "an array or object has no end";
    case simdjson::MEMALLOC:
      return "there is no memory to parse it";
    default:
      return "malformed JSON";
  }
}

}  // namespace warmset
