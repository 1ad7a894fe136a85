#include "inspect/json.h"

namespace warmset {

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
