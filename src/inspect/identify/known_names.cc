// The names that identification gives, for what users say of models.
#include <algorithm>
#include <set>

#include "inspect/identify/atlas.h"
#include "inspect/identify/identify.h"
#include "inspect/identify/rule_book.h"
#include "inspect/identify/rules.h"

namespace warmset {
namespace {

// Of rules and of the atlas. Those of LoRAs' layers are the denoisers'.
const std::set<std::string_view>& BaseNames() {
  static const auto* const names = [] {
    auto* const all = new std::set<std::string_view>;
    for (const RuleTable& table : {DenoiserRules(), EncoderRules(), AdapterRules()}) {
      for (const ModelRule& rule : table.models) {
        if (!rule.name.empty()) all->insert(rule.name);
      }
    }
    for (const AtlasRow& row : Atlas::Builtin().rows()) {
      std::string_view names_left = row.name;
      while (!names_left.empty()) {
        const size_t end = std::min(names_left.find_first_of("|?"), names_left.size());
        if (end > 0) all->insert(names_left.substr(0, end));
        names_left.remove_prefix(std::min(end + 1, names_left.size()));
      }
    }
    return all;
  }();
  return *names;
}

bool IsVariantOfKnown(std::string_view name) {
  for (const RuleTable& table : {DenoiserRules(), EncoderRules(), AdapterRules()}) {
    for (const VariantRule& variant : table.variants) {
      if (!name.ends_with(variant.suffix) || variant.suffix.empty()) continue;
      if (IsKnownArchitecture(name.substr(0, name.size() - variant.suffix.size()))) return true;
    }
  }
  return false;
}

}  // namespace

std::vector<std::string_view> ModelArchitectures() {
  return {BaseNames().begin(), BaseNames().end()};
}

bool IsKnownArchitecture(std::string_view name) {
  return BaseNames().contains(name) || IsVariantOfKnown(name);
}

}  // namespace warmset
