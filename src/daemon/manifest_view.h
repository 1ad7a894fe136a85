// What a manifest says, as messages. Of a million tensors that takes a while:
// not on the loop. All functions are pure and thread-safe.
#pragma once

#include <map>
#include <string>

#include "daemon/admission.h"
#include "inspect/manifest.h"
#include "warmset/v1/session.pb.h"

namespace warmset {

// What a forced use left out, into a CacheReply or LoadReply.
template <typename Reply>
void AddSkipped(const SkippedParts& skipped, Reply& reply) {
  for (const Skipped& part : skipped.parts) {
    v1::Skipped* message = reply.add_skipped();
    message->set_what(std::string(part.what));
    message->set_name(part.name);
    message->set_category(std::string(FindingCategoryName(part.category)));
    message->set_reason(part.reason);
    message->set_verdict(std::string(VerdictName(part.verdict)));
  }
  reply.set_skipped_total(skipped.total);
}

v1::Finding FindingMessage(const Finding& finding);

// "Q4_K, Q6_K": the dtypes of less than 16 bits that weights are reduced to, the most
// bytes first; empty for none.
std::string QuantisationOf(const std::map<std::string, uint64_t>& dtype_bytes);

// The part of a model's detail that its manifest knows: findings, candidates,
// metadata, and of each component its name, its bytes by dtype and its parameters.
v1::ModelDetail ManifestMessage(const Manifest& manifest);

}  // namespace warmset
