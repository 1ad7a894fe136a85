#include "daemon/option_file.h"

#include <optional>
#include <string_view>

#include "daemon/option_table.h"
#include "fmt/format.h"
#include "toml++/toml.h"

namespace warmset {
namespace {

std::string PlaceOf(const toml::source_region& region, const std::string& path) {
  return fmt::format("{}:{}:{}", path, region.begin.line, region.begin.column);
}

Status ErrorAt(const toml::source_region& region, const std::string& path,
               std::string_view message) {
  return Error(ErrorCode::kInvalidConfig, fmt::format("{}: {}", PlaceOf(region, path), message));
}

std::string_view ExpectedType(OptionShape shape) {
  switch (shape) {
    case OptionShape::kText:
    case OptionShape::kPath:
      return "a string";
    case OptionShape::kSize:
      return "a size, as in \"8GiB\"";
    case OptionShape::kInteger:
      return "a whole number";
    case OptionShape::kBoolean:
      return "true or false";
    case OptionShape::kTexts:
    case OptionShape::kPaths:
      return "a list of strings";
    case OptionShape::kIntegers:
      return "a list of whole numbers";
    case OptionShape::kDevices:
      return "tables headed [[device]]";
  }
  return "";
}

// The text of a single value, nothing if it has another type than the shape's.
std::optional<std::string> TextOf(const toml::node& node, OptionShape shape) {
  switch (shape) {
    case OptionShape::kBoolean:
      if (const auto* value = node.as_boolean()) return value->get() ? "on" : "off";
      return std::nullopt;
    case OptionShape::kSize:
    case OptionShape::kInteger:
    case OptionShape::kIntegers:
      if (const auto* value = node.as_integer()) return fmt::format("{}", value->get());
      if (shape != OptionShape::kSize) return std::nullopt;
      [[fallthrough]];
    default:
      if (const auto* value = node.as_string()) return value->get();
      return std::nullopt;
  }
}

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {}

  // `prefix` is "" or the enclosing table's key with its dot.
  Status ReadTable(const toml::table& table, const std::string& prefix) {
    for (const auto& [name, node] : table) {
      const std::string key = prefix + std::string(name.str());
      if (const OptionRow* row = FindOption(key)) {
        RETURN_IF_ERROR(ReadValue(*row, node));
      } else if (node.is_table() && IsSection(key)) {
        RETURN_IF_ERROR(ReadTable(*node.as_table(), key + "."));
      } else {
        return UnknownKey(name.source(), key);
      }
    }
    return OkStatus();
  }

  std::vector<FileValue> TakeValues() { return std::move(values_); }

 private:
  static bool IsSection(const std::string& key) {
    for (const OptionRow& row : OptionTable()) {
      if (row.key.starts_with(key + ".")) return true;
    }
    return false;
  }

  Status UnknownKey(const toml::source_region& region, const std::string& key) const {
    std::vector<std::string_view> known;
    for (const OptionRow& row : OptionTable()) known.push_back(row.key);
    return ErrorAt(
        region, path_,
        fmt::format("there is no key '{}'; the nearest is '{}'", key, NearestTo(key, known)));
  }

  Status ReadValue(const OptionRow& row, const toml::node& node) {
    FileValue value{std::string(row.key), {}, PlaceOf(node.source(), path_)};
    const auto wrong_type = [&](const toml::node& bad) {
      return ErrorAt(bad.source(), path_,
                     fmt::format("{} takes {}", row.key, ExpectedType(row.shape)));
    };
    const toml::array* const array = node.as_array();
    if (IsList(row.shape) != (array != nullptr)) return wrong_type(node);
    if (array == nullptr) {
      const auto text = TextOf(node, row.shape);
      if (!text) return wrong_type(node);
      value.texts.push_back(*text);
    } else {
      for (const toml::node& item : *array) {
        if (row.shape == OptionShape::kDevices) {
          if (!item.is_table()) return wrong_type(item);
          ASSIGN_OR_RETURN(value.texts.emplace_back(), ReadDevice(*item.as_table()));
          continue;
        }
        const auto text = TextOf(item, row.shape);
        if (!text) return wrong_type(item);
        value.texts.push_back(*text);
      }
    }
    values_.push_back(std::move(value));
    return OkStatus();
  }

  // A [[device]] table as its flag would say it.
  StatusOr<std::string> ReadDevice(const toml::table& table) const {
    static constexpr std::string_view kKeys[] = {"id", "memory", "pool"};
    std::string id;
    std::string rest;
    for (const auto& [name, node] : table) {
      const std::string_view key = name.str();
      if (std::find(std::begin(kKeys), std::end(kKeys), key) == std::end(kKeys)) {
        return ErrorAt(name.source(), path_,
                       fmt::format("a device has no key '{}'; the nearest is '{}'", key,
                                   NearestTo(key, kKeys)));
      }
      const auto text = TextOf(node, key == "memory" ? OptionShape::kSize : OptionShape::kText);
      if (!text || text->find(',') != std::string::npos) {
        return ErrorAt(node.source(), path_,
                       fmt::format("device.{} takes {}", key,
                                   key == "memory" ? ExpectedType(OptionShape::kSize)
                                                   : "a string without commas"));
      }
      key == "id" ? id = *text : rest += fmt::format(",{}={}", key, *text);
    }
    if (id.empty()) return ErrorAt(table.source(), path_, "a device needs id = \"host:0\"");
    return id + rest;
  }

  const std::string& path_;
  std::vector<FileValue> values_;
};

}  // namespace

StatusOr<std::vector<FileValue>> ParseOptionFile(const std::string& content,
                                                 const std::string& path) {
  try {
    const toml::table table = toml::parse(content, path);
    Reader reader(path);
    RETURN_IF_ERROR(reader.ReadTable(table, ""));
    return reader.TakeValues();
  } catch (const toml::parse_error& error) {
    return ErrorAt(error.source(), path, error.description());
  }
}

}  // namespace warmset
