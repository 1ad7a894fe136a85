#include "discover/comfyui_paths.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "discover/folder_kinds.h"
#include "fmt/format.h"
#include "inspect/shard_index.h"
#include "os/file.h"

namespace warmset {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
constexpr std::string_view kBlank = " \t\r";

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

struct Line {
  size_t number = 0;  // from 1 on
  size_t indent = 0;
  std::string_view text;  // without the indent and blanks at the end
};

Status At(const Line& line, std::string_view message) {
  return Error(ErrorCode::kInvalidConfig, fmt::format("line {}: {}", line.number, message));
}

// Without a comment that begins after a blank, outside of quotes.
std::string_view WithoutComment(std::string_view text) {
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if ((c == '"' || c == '\'') && (i == 0 || text[i - 1] == ' ')) {
      quote = c;
    } else if (c == '#' && (i == 0 || kBlank.find(text[i - 1]) != std::string_view::npos)) {
      return Trim(text.substr(0, i));
    }
  }
  return Trim(text);
}

StatusOr<std::vector<Line>> SplitLines(std::string_view yaml) {
  std::vector<Line> lines;
  if (yaml.starts_with("\xEF\xBB\xBF")) yaml.remove_prefix(3);
  for (size_t number = 1; !yaml.empty(); ++number) {
    const size_t end = std::min(yaml.find('\n'), yaml.size());
    const std::string_view whole = yaml.substr(0, end);
    yaml.remove_prefix(std::min(end + 1, yaml.size()));
    const size_t indent = std::min(whole.find_first_not_of(' '), whole.size());
    const Line line{number, indent, Trim(whole)};
    if (line.text.empty()) continue;
    if (!IsPrintable(line.text)) return At(line, "it is not plain UTF-8 text");
    if (whole[indent] == '\t') return At(line, "it is indented by a tab; use blanks");
    lines.push_back(line);
  }
  return lines;
}

// A key with a value, or the values of several lines.
struct Setting {
  std::string key;
  std::vector<std::string> values;
};
struct Section {
  std::string name;
  std::vector<Setting> settings;
};

class Parser {
 public:
  explicit Parser(std::vector<Line> lines) : lines_(std::move(lines)) {}

  StatusOr<std::vector<Section>> Run() {
    std::vector<Section> sections;
    std::set<std::string> names;
    for (SkipComments(); at_ < lines_.size(); SkipComments()) {
      const Line line = lines_[at_++];
      if (line.text == "---" && sections.empty()) continue;
      if (line.indent != 0) return At(line, "it belongs to no section");
      ASSIGN_OR_RETURN(auto header, SplitKey(line));
      if (!header.second.empty()) {
        return At(line, "a section is a name and ':', with its settings indented below");
      }
      if (!names.insert(header.first).second) return At(line, "this section is there twice");
      Section& section = sections.emplace_back();
      section.name = std::move(header.first);
      RETURN_IF_ERROR(ReadSettings(section));
    }
    return sections;
  }

 private:
  void SkipComments() {
    while (at_ < lines_.size() && lines_[at_].text.starts_with('#')) ++at_;
  }

  Status ReadSettings(Section& section) {
    size_t indent = 0;
    std::set<std::string> keys;
    for (SkipComments(); at_ < lines_.size() && lines_[at_].indent > 0; SkipComments()) {
      const Line line = lines_[at_++];
      if (indent == 0) indent = line.indent;
      if (line.indent != indent) return At(line, "its indent differs from its neighbours'");
      ASSIGN_OR_RETURN(auto entry, SplitKey(line));
      if (!keys.insert(entry.first).second) return At(line, "this key is there twice");
      Setting& setting = section.settings.emplace_back();
      setting.key = std::move(entry.first);
      if (entry.second == "|" || entry.second == "|-" || entry.second == "|+") {
        ReadBlock(indent, setting);
      } else if (!entry.second.empty()) {
        ASSIGN_OR_RETURN(setting.values.emplace_back(), ReadScalar(line, entry.second));
      }
    }
    return OkStatus();
  }

  // Lines after "|" are taken as they are, comments too.
  void ReadBlock(size_t indent, Setting& setting) {
    for (; at_ < lines_.size() && lines_[at_].indent > indent; ++at_) {
      setting.values.emplace_back(lines_[at_].text);
    }
  }

  static StatusOr<std::pair<std::string, std::string_view>> SplitKey(const Line& line) {
    const std::string_view text = WithoutComment(line.text);
    const size_t colon = text.find(':');
    if (colon == 0 || colon == std::string_view::npos) {
      return At(line, "it is no 'key: value'");
    }
    if (colon + 1 < text.size() && text[colon + 1] != ' ') {
      return At(line, "a blank is missing after ':'");
    }
    ASSIGN_OR_RETURN(std::string key, ReadScalar(line, Trim(text.substr(0, colon))));
    return std::pair(std::move(key), Trim(text.substr(colon + 1)));
  }

  static StatusOr<std::string> ReadScalar(const Line& line, std::string_view text) {
    const char first = text.front();
    if (first == '"' || first == '\'') {
      const bool closed = text.size() >= 2 && text.back() == first;
      const std::string_view inside = closed ? text.substr(1, text.size() - 2) : text;
      if (!closed || inside.find(first) != std::string_view::npos) {
        return At(line, "a quote is not closed at the end of the value");
      }
      return first == '"' ? Unescape(line, inside) : std::string(inside);
    }
    if (std::string_view("[]{}&*!%@`>|-?,").find(first) != std::string_view::npos &&
        !(first == '-' && text.size() > 1 && text[1] != ' ')) {
      return At(line, fmt::format("'{}' begins YAML that is not read here; write a plain or "
                                  "quoted path",
                                  first));
    }
    return std::string(text);
  }

  // What paths in double quotes need: of a backslash and a quote.
  static StatusOr<std::string> Unescape(const Line& line, std::string_view text) {
    std::string plain;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\') {
        if (++i == text.size() || text[i] != '\\') {
          return At(line, "an escape that is not read here; use single quotes");
        }
      }
      plain += text[i];
    }
    return plain;
  }

  const std::vector<Line> lines_;
  size_t at_ = 0;
};

const std::string* FirstValue(const Section& section, std::string_view key) {
  for (const Setting& setting : section.settings) {
    if (setting.key == key && !setting.values.empty()) return &setting.values.front();
  }
  return nullptr;
}

bool IsTrue(const std::string* text) {
  return text != nullptr && (*text == "true" || *text == "True" || *text == "TRUE" ||
                             *text == "yes" || *text == "on");
}

std::string Absolute(const std::string& path, const std::string& base, const std::string& home) {
  std::filesystem::path full = path;
  if (path == "~" || path.starts_with("~/")) full = home + path.substr(1);
  std::string normal = (std::filesystem::path(base) / full).lexically_normal().string();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

}  // namespace

StatusOr<std::vector<ComfyUiFolder>> ParseComfyUiPaths(std::string_view yaml,
                                                       const std::string& file_folder,
                                                       const std::string& home) {
  ASSIGN_OR_RETURN(std::vector<Line> lines, SplitLines(yaml));
  ASSIGN_OR_RETURN(std::vector<Section> sections, Parser(std::move(lines)).Run());
  std::stable_partition(sections.begin(), sections.end(), [](const Section& section) {
    return IsTrue(FirstValue(section, "is_default"));
  });
  static const std::set<std::string_view> kNoModels = {"base_path", "is_default", "custom_nodes",
                                                       "configs"};
  std::vector<ComfyUiFolder> folders;
  for (const Section& section : sections) {
    const std::string* const base_path = FirstValue(section, "base_path");
    const std::string base =
        base_path == nullptr ? file_folder : Absolute(*base_path, file_folder, home);
    for (const Setting& setting : section.settings) {
      if (kNoModels.contains(setting.key)) continue;
      const std::string kind = CurrentFolderKind(setting.key);
      for (const std::string& value : setting.values) {
        const std::string path = Absolute(value, base, home);
        const auto known =
            std::find_if(folders.begin(), folders.end(),
                         [&](const ComfyUiFolder& folder) { return folder.path == path; });
        if (known == folders.end()) {
          folders.push_back({path, kind});
        } else if (known->kind != kind) {
          known->kind.clear();
        }
      }
    }
  }
  return folders;
}

StatusOr<std::vector<Root>> ReadComfyUiPaths(const std::string& path, const std::string& home) {
  ASSIGN_OR_RETURN(const std::string yaml, os::ReadSmallFile(path, kMaxFileBytes));
  auto folders = ParseComfyUiPaths(yaml, ParentOf(path), home);
  if (!folders.ok()) return Annotate(folders.status(), path);
  std::vector<Root> roots;
  for (ComfyUiFolder& folder : *folders) {
    roots.push_back({.path = std::move(folder.path),
                     .deep = true,
                     .folder_kind = std::move(folder.kind),
                     .may_be_absent = true});
  }
  return roots;
}

}  // namespace warmset
