#include "inspect/pytorch/pickle_keys.h"

#include <cmath>
#include <cstdint>
#include <optional>

#include "fmt/format.h"

namespace warmset {
namespace {

// Tuples may share what they contain, so that a few of them make a text without end.
constexpr size_t kMaxTupleBytes = 1024;
constexpr int kMaxTupleDepth = 8;

// As Python's repr(): it tells 1.0 from 1.
std::string FloatText(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

// Appends the key as Python would show it; false for what has no short text.
bool AppendShown(const PickleHeap& heap, PickleRef key, int depth, std::string& out) {
  switch (heap.KindOf(key)) {
    case PickleKind::kNone:
      out += "None";
      break;
    case PickleKind::kBool:
      out += *heap.BoolOf(key) ? "True" : "False";
      break;
    case PickleKind::kInt:
      out += std::to_string(*heap.IntOf(key));
      break;
    case PickleKind::kFloat:
      out += FloatText(*heap.FloatOf(key));
      break;
    case PickleKind::kGlobal:
      out += heap.GlobalOf(key).name;
      break;
    case PickleKind::kText: {
      const auto text = heap.TextOf(key);
      if (!text) return false;
      out += depth == 0 ? std::string(*text) : Quoted(*text);
      break;
    }
    case PickleKind::kTuple: {
      if (depth == kMaxTupleDepth) return false;
      const auto items = heap.ItemsOf(key);
      out += '(';
      for (size_t i = 0; i < items.size(); ++i) {
        if (i != 0) out += ", ";
        if (!AppendShown(heap, items[i], depth + 1, out)) return false;
      }
      out += items.size() == 1 ? ",)" : ")";
      break;
    }
    default:
      return false;
  }
  return depth == 0 || out.size() <= kMaxTupleBytes;
}

// A whole number that the key is equal to.
std::optional<int64_t> WholeNumber(const PickleHeap& heap, PickleRef key) {
  if (const auto number = heap.IntOf(key)) return number;
  if (const auto flag = heap.BoolOf(key)) return *flag ? 1 : 0;
  const auto real = heap.FloatOf(key);
  constexpr double kExact = 9007199254740992;  // 2^53
  if (!real || std::trunc(*real) != *real || std::abs(*real) > kExact) return std::nullopt;
  return static_cast<int64_t>(*real);
}

}  // namespace

std::string NameOfKey(const PickleHeap& heap, PickleRef key, size_t place) {
  std::string name;
  if (AppendShown(heap, key, 0, name)) return name;
  return fmt::format("<key {}>", place);
}

std::string IdentityOfKey(const PickleHeap& heap, PickleRef key) {
  if (const auto text = heap.TextOf(key)) return "t" + std::string(*text);
  if (const auto number = WholeNumber(heap, key)) return "n" + std::to_string(*number);
  std::string shown;
  if (heap.KindOf(key) == PickleKind::kTuple && AppendShown(heap, key, 0, shown)) {
    return "s" + shown;
  }
  if (const auto real = heap.FloatOf(key)) return "f" + FloatText(*real);
  return fmt::format("r{}", static_cast<uint32_t>(key));
}

}  // namespace warmset
