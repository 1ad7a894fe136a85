#include <charconv>
#include <fstream>
#include <unordered_map>

#include "fmt/format.h"
#include "policy/trace.h"

namespace warmset::bench {
namespace {

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t start = 0;
  for (size_t end; (end = text.find(separator, start)) != std::string::npos; start = end + 1) {
    parts.push_back(text.substr(start, end - start));
  }
  parts.push_back(text.substr(start));
  return parts;
}

template <typename Number>
bool Parse(const std::string& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

// Calls row(columns) for each line; false means that the line makes no sense, which
// only the first, of titles, may not.
template <typename Row>
Status ReadRows(const std::string& path, size_t columns, Row row) {
  std::ifstream file(path);
  if (!file) return Error(ErrorCode::kFileNotFound, fmt::format("{} can't be opened", path));
  std::string line;
  for (uint64_t number = 1; std::getline(file, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    const auto parts = Split(line, ',');
    if ((parts.size() != columns || !row(parts)) && number != 1) {
      return Error(ErrorCode::kInvalidRequest,
                   fmt::format("{}:{}: '{}' is not understood", path, number, line));
    }
  }
  return OkStatus();
}

}  // namespace

StatusOr<Trace> ReadTrace(const std::string& trace_file, const std::string& sizes_file) {
  Trace trace;
  std::unordered_map<std::string, uint32_t> places;
  RETURN_IF_ERROR(ReadRows(sizes_file, 3, [&](const std::vector<std::string>& parts) {
    TraceObject object;
    object.name = parts[0];
    if (!Parse(parts[1], object.bytes) || !Parse(parts[2], object.load_seconds)) return false;
    places.emplace(object.name, static_cast<uint32_t>(trace.objects.size()));
    trace.objects.push_back(std::move(object));
    return true;
  }));
  RETURN_IF_ERROR(ReadRows(trace_file, 3, [&](const std::vector<std::string>& parts) {
    Trace::Request request;
    request.user = parts[1];
    if (!Parse(parts[0], request.time_s)) return false;
    for (const std::string& name : Split(parts[2], ';')) {
      const auto place = places.find(name);
      if (place == places.end()) return false;
      request.objects.push_back(place->second);
    }
    trace.requests.push_back(std::move(request));
    return true;
  }));
  return trace;
}

}  // namespace warmset::bench
