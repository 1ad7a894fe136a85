#include "inspect/ollama/manifest.h"

#include <algorithm>

#include "fmt/format.h"
#include "inspect/json.h"
#include "inspect/shard_index.h"

namespace warmset {
namespace {

constexpr size_t kMaxLayers = 1000;
constexpr std::string_view kMediaType = "application/vnd.ollama.image.";
constexpr size_t kSha256Digits = 64;

Status Corrupt(std::string_view what) {
  return Error(ErrorCode::kCorruptedModel, fmt::format("Ollama manifest: {}", what));
}

// The digits of "sha256:…", or "sha256-…", as older stores write it.
StatusOr<std::string> DigitsOf(std::string_view digest) {
  constexpr std::string_view kAlgorithm = "sha256";
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  const size_t start = kAlgorithm.size() + 1;
  const bool well_formed = digest.size() == start + kSha256Digits &&
                           digest.starts_with(kAlgorithm) &&
                           (digest[start - 1] == ':' || digest[start - 1] == '-') &&
                           std::all_of(digest.begin() + start, digest.end(), is_hex);
  if (well_formed) return std::string(digest.substr(start));
  if (digest.find_first_of("/\\") != std::string_view::npos ||
      digest.find("..") != std::string_view::npos) {
    return Error(ErrorCode::kUnsafeModel,
                 "Ollama manifest: a digest leads out of the store's blobs; remove the model");
  }
  return Corrupt("a digest is not sha256 and 64 hexadecimal digits; pull the model again");
}

StatusOr<OllamaLayer> ParseLayer(const simdjson::dom::element& element) {
  OllamaLayer layer;
  std::string_view media_type;
  std::string_view digest;
  if (element["mediaType"].get(media_type) || element["digest"].get(digest)) {
    return Corrupt("a layer has no mediaType or no digest");
  }
  if (element["size"].get(layer.size)) return Corrupt("a layer has no size");
  ASSIGN_OR_RETURN(layer.sha256, DigitsOf(digest));
  if (!IsPrintable(media_type)) return Corrupt("a mediaType is no plain text");
  layer.media_type = media_type;
  layer.blob = "sha256-" + layer.sha256;
  layer.old_blob = "sha256:" + layer.sha256;
  return layer;
}

}  // namespace

std::string_view OllamaLayer::component() const {
  std::string_view type = media_type;
  if (!type.starts_with(kMediaType)) return {};
  type.remove_prefix(kMediaType.size());
  for (const std::string_view known : {"model", "adapter", "projector"}) {
    if (type == known) return known;
  }
  return {};
}

StatusOr<std::vector<OllamaLayer>> ParseOllamaManifest(std::string_view json) {
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  simdjson::dom::array layers;
  if (const auto error = parser.parse(json.data(), json.size()).get(document)) {
    return Corrupt(JsonErrorText(error));
  }
  if (document["layers"].get(layers)) return Corrupt("it has no layers");
  std::vector<OllamaLayer> parsed;
  for (const simdjson::dom::element element : layers) {
    if (parsed.size() == kMaxLayers) return Corrupt("it has too many layers");
    ASSIGN_OR_RETURN(parsed.emplace_back(), ParseLayer(element));
  }
  simdjson::dom::element config;
  if (!document["config"].get(config) && config.is_object()) {
    ASSIGN_OR_RETURN(parsed.emplace_back(), ParseLayer(config));
  }
  return parsed;
}

}  // namespace warmset
