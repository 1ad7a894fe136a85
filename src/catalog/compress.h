#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace warmset {

// A Zstandard frame with the content's size. Manifests are tables of names that
// differ little: they shrink to a tenth, which is what a scan has to write.
std::string Compress(std::string_view content);
// kCorruptedModel for anything else than what Compress made.
StatusOr<std::string> Decompress(std::span<const std::byte> frame);

}  // namespace warmset
