#include "isolate/answer_check.h"

#include <set>

#include "fmt/format.h"
#include "inspect/components.h"

namespace warmset {
namespace {

Status Lie(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

Status CheckFile(const ManifestFile& file, const ManifestFile* asked,
                 const os::FileIdentity* given) {
  if (asked != nullptr && file.identity == asked->identity &&
      file.claimed_hash == asked->claimed_hash) {
    return OkStatus();
  }
  if (given != nullptr && file.claimed_hash.empty()) {
    if (file.identity == *given) return OkStatus();
    return Error(ErrorCode::kFileChanged,
                 fmt::format("{} changes while it is looked at; scan again when it is complete",
                             file.path));
  }
  return Lie("a file that it was not given");
}

}  // namespace

StatusOr<Manifest> CheckAnswer(std::string_view encoded, const ModelFiles& asked,
                               const GivenFiles& given) {
  ASSIGN_OR_RETURN(Manifest manifest, DecodeManifest(encoded));
  if (manifest.layout != asked.layout) return Lie("another layout");
  std::map<std::string_view, const ManifestFile*> sighted;
  for (const ManifestFile& file : asked.files) sighted.emplace(file.path, &file);
  for (const ManifestFile& file : manifest.files) {
    const auto as_asked = sighted.find(file.path);
    const auto as_given = given.find(file.path);
    RETURN_IF_ERROR(CheckFile(file, as_asked == sighted.end() ? nullptr : as_asked->second,
                              as_given == given.end() ? nullptr : &as_given->second));
  }
  for (const ComponentManifest& component : manifest.components) {
    if (component.id != DeriveComponentId(component, manifest.files)) {
      return Lie("the id of another component");
    }
  }
  return manifest;
}

}  // namespace warmset
