// Which components have the same bytes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/digest.h"
#include "base/strong.h"
#include "place/row.h"

namespace warmset::place {

// A component's id says where its bytes come from, so it is provisional as a name for the
// bytes: two components may have equal ones. Each has a content of its own until their bytes
// were compared; from then on they share one, also when they have left memory, for an id never
// gets other bytes. A value; not thread-safe.
class ContentTable {
 public:
  struct Content {
    std::vector<ComponentId> components;        // the oldest first
    std::optional<ByteCount> compressed_bytes;  // as far as it is known
    bool incompressible = false;
  };

  // The component's content; a new one for a new component.
  ContentId Of(const ComponentId& component);
  std::optional<ContentId> Find(const ComponentId& component) const;
  // nullptr when its last component is forgotten.
  Content* Get(ContentId content);
  const Content* Get(ContentId content) const;

  // The bytes of both are equal.
  void Merge(ContentId into, ContentId from);
  // No model has the component any more; true if nothing has its content's bytes now.
  bool Forget(const ComponentId& component);

 private:
  std::map<ComponentId, ContentId> by_component_;
  std::map<ContentId, Content> contents_;
  uint64_t last_ = 0;
};

}  // namespace warmset::place
