#include "place/content_table.h"

#include <utility>

namespace warmset::place {

ContentId ContentTable::Of(const ComponentId& component) {
  const auto [found, is_new] = by_component_.try_emplace(component, last_ + 1);
  if (is_new) contents_[ContentId(++last_)].components = {component};
  return found->second;
}

std::optional<ContentId> ContentTable::Find(const ComponentId& component) const {
  const auto found = by_component_.find(component);
  if (found == by_component_.end()) return std::nullopt;
  return found->second;
}

ContentTable::Content* ContentTable::Get(ContentId content) {
  const auto found = contents_.find(content);
  return found == contents_.end() ? nullptr : &found->second;
}

const ContentTable::Content* ContentTable::Get(ContentId content) const {
  return const_cast<ContentTable*>(this)->Get(content);
}

void ContentTable::Merge(ContentId into, ContentId from) {
  const Content other = std::move(contents_.extract(from).mapped());
  Content& content = contents_.at(into);
  for (const ComponentId& component : other.components) {
    by_component_[component] = into;
    content.components.push_back(component);
  }
  if (!content.compressed_bytes) content.compressed_bytes = other.compressed_bytes;
  content.incompressible |= other.incompressible;
}

bool ContentTable::Forget(const ComponentId& component) {
  const auto found = by_component_.find(component);
  if (found == by_component_.end()) return false;
  const ContentId id = found->second;
  by_component_.erase(found);
  Content& content = contents_.at(id);
  std::erase(content.components, component);
  if (!content.components.empty()) return false;
  contents_.erase(id);
  return true;
}

}  // namespace warmset::place
