#include "sync/messages.h"

#include "base/byte_reader.h"

namespace warmset::sync {

StateDigest DigestState(const State& state) {
  // Lengths keep {"a": "bc"} and {"ab": "c"} apart.
  ByteWriter flat;
  for (const auto& [key, value] : state) {
    flat.WriteString(key);
    flat.WriteString(value);
  }
  return DigestOf<StateDigest>(AsBytes(flat.data()));
}

}  // namespace warmset::sync
