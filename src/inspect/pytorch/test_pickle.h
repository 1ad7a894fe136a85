// For tests and fuzzers only: writes pickles opcode by opcode, and PyTorch's files
// around them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/byte_reader.h"
#include "inspect/zip/test_zip.h"

namespace warmset::test_pickle {

template <typename T>
std::string Raw(T value) {
  ByteWriter out;
  out.Write(value);
  return out.Take();
}

inline std::string Stream(std::string_view body) {
  return std::string("\x80\x02").append(body).append(".");
}
inline std::string Global(std::string_view module, std::string_view name) {
  return std::string("c").append(module).append("\n").append(name).append("\n");
}
inline std::string Text(std::string_view text) {
  return "X" + Raw(static_cast<uint32_t>(text.size())) + std::string(text);
}
inline std::string Int(int32_t value) { return "J" + Raw(value); }
inline std::string Long(int64_t value) { return std::string("\x8a\x08") + Raw(value); }

inline std::string Tuple(const std::vector<std::string>& items) {
  std::string tuple = "(";
  for (const std::string& item : items) tuple += item;
  return tuple + "t";
}
inline std::string Ints(const std::vector<int64_t>& values) {
  std::vector<std::string> items;
  for (const int64_t value : values) items.push_back(Long(value));
  return Tuple(items);
}
inline std::string List(const std::vector<std::string>& items) {
  std::string list = "](";
  for (const std::string& item : items) list += item;
  return list + "e";
}
using Items = std::vector<std::pair<std::string, std::string>>;
inline std::string SetItems(const Items& items) {
  std::string set = "(";
  for (const auto& [key, value] : items) set += Text(key) + value;
  return set + "u";
}
inline std::string Dict(const Items& items) { return "}" + SetItems(items); }
inline std::string OrderedDict(const Items& items = {}) {
  const std::string empty = Global("collections", "OrderedDict") + ")R";
  return items.empty() ? empty : empty + SetItems(items);
}
inline std::string Call(const std::string& callable, const std::vector<std::string>& args) {
  return callable + Tuple(args) + "R";
}

inline std::string Storage(std::string_view type, std::string_view key, int64_t elements,
                           const std::string& view = "") {
  std::vector<std::string> id = {Text("storage"), Global("torch", type), Text(key), Text("cpu"),
                                 Long(elements)};
  if (!view.empty()) id.push_back(view);
  return Tuple(id) + "Q";
}
inline std::string Tensor(const std::string& storage, int64_t offset,
                          const std::vector<int64_t>& size, const std::vector<int64_t>& stride) {
  return Call(Global("torch._utils", "_rebuild_tensor_v2"),
              {storage, Long(offset), Ints(size), Ints(stride), "\x89", OrderedDict()});
}
// Two floats, as storage "0".
inline std::string TwoFloats() { return Tensor(Storage("FloatStorage", "0", 2), 0, {2}, {1}); }

using Data = std::vector<std::pair<std::string, std::string>>;  // key, bytes

inline std::vector<TestZipEntry> ArchiveEntries(const std::string& pickle, const Data& data) {
  std::vector<TestZipEntry> entries = {{.name = "m/data.pkl", .content = pickle},
                                       {.name = "m/byteorder", .content = "little"}};
  for (const auto& [key, bytes] : data) {
    entries.push_back({.name = "m/data/" + key, .content = bytes});
  }
  entries.push_back({.name = "m/version", .content = "3\n"});
  return entries;
}
inline std::string Archive(const std::string& pickle, const Data& data) {
  return TestZip(ArchiveEntries(pickle, data), {.zip64 = true});
}

inline constexpr std::string_view kLegacyMagic =
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
inline std::string LegacyHead() {
  return std::string(kLegacyMagic) + Stream(Int(1001)) +
         Stream(Dict({{"protocol_version", Int(1001)}, {"little_endian", "\x88"}}));
}
// elements: of every storage, as its data says it.
inline std::string Legacy(const std::string& pickle, const Data& data, uint64_t elements) {
  std::string file = LegacyHead() + pickle;
  std::vector<std::string> keys;
  for (const auto& [key, bytes] : data) keys.push_back(Text(key));
  file += Stream(List(keys));
  for (const auto& [key, bytes] : data) file += Raw(elements) + bytes;
  return file;
}

// What attackers put into a pickle: the call of a function that no model needs.
inline std::string Payload() { return Call(Global("posix", "system"), {Text("true")}); }

}  // namespace warmset::test_pickle
