#include "discover/names.h"

#include <unordered_map>

namespace warmset {
namespace {

constexpr size_t kIdDigits = 8;

// The last `parts` folders of a path.
std::string_view LastParts(std::string_view path, size_t parts) {
  size_t start = path.size();
  for (; parts > 0 && start > 0; --parts) {
    const size_t slash = path.rfind('/', start - 1);
    if (slash == std::string_view::npos) return path;
    start = slash;
  }
  return start < path.size() ? path.substr(start + 1) : std::string_view();
}

std::string WithId(std::string name, const ModelId& id) {
  return name + "~" + id.Hex().substr(0, kIdDigits);
}

std::string NameAtLevel(const NameRequest& request, size_t level) {
  std::string name(LastParts(request.parent, level));
  if (!name.empty()) name += '/';
  name += request.base;
  if (name.size() <= kMaxModelNameBytes) return name;
  size_t end = kMaxModelNameBytes - kIdDigits - 1;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;  // UTF-8
  return WithId(name.substr(0, end), request.id);
}

}  // namespace

std::vector<std::string> UniqueNames(std::span<const NameRequest> requests,
                                     const std::set<std::string>& taken) {
  std::vector<size_t> levels(requests.size(), 0);
  std::vector<std::string> names(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) names[i] = NameAtLevel(requests[i], 0);

  for (;;) {
    std::unordered_map<std::string_view, size_t> count;
    for (const std::string& name : names) ++count[name];
    std::vector<size_t> colliding;
    for (size_t i = 0; i < names.size(); ++i) {
      if (count[names[i]] > 1 || taken.contains(names[i])) colliding.push_back(i);
    }
    if (colliding.empty()) return names;
    for (const size_t i : colliding) {
      std::string longer = NameAtLevel(requests[i], ++levels[i]);
      // No folder is left to tell them apart.
      if (longer == names[i]) longer = WithId(longer, requests[i].id);
      names[i] = std::move(longer);
    }
  }
}

}  // namespace warmset
