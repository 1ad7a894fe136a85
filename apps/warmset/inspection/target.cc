#include "inspection/target.h"

#include <filesystem>
#include <utility>

#include "discover/scanner.h"
#include "fmt/format.h"
#include "inspect/weight_sets.h"
#include "os/directory.h"
#include "os/file.h"

namespace warmset::cli {
namespace {

namespace fs = std::filesystem;

Finding FindingOf(const ScanFinding& found, std::string path) {
  return warmset::FindingOf(Error(found.code, found.message), std::move(path));
}

// A path of a walk in the words of the argument that the walk began at.
std::string Shown(const std::string& path, const std::string& root, const std::string& argument) {
  if (path == root) return argument;
  const std::string prefix = root == "/" ? root : root + "/";
  if (!path.starts_with(prefix)) return path;
  const std::string below = path.substr(prefix.size());
  return argument.ends_with('/') ? argument + below : argument + "/" + below;
}

Target TargetOf(Sighting sighting, std::string path) {
  return {.path = std::move(path),
          .folder = std::move(sighting.folder),
          .model = std::move(sighting.model),
          .findings = {}};
}

Target Only(std::string path, Finding finding) {
  return {.path = std::move(path), .folder = {}, .model = {}, .findings = {std::move(finding)}};
}

StatusOr<ScanWalk> Walk(const std::string& folder, bool deep) {
  ShardListCache shard_lists;
  return Scanner(shard_lists).Walk({{.path = folder, .deep = deep}}, nullptr, {});
}

StatusOr<std::vector<Target>> TargetsIn(const std::string& folder, const std::string& argument) {
  ASSIGN_OR_RETURN(ScanWalk walk, Walk(folder, /*deep=*/true));
  std::vector<Target> targets;
  if (walk.sightings.size() > 1) {
    for (Sighting& sighting : walk.sightings) {
      std::string path = Shown(sighting.path, folder, argument);
      targets.push_back(TargetOf(std::move(sighting), std::move(path)));
    }
    for (const ScanFinding& found : walk.findings) {
      targets.push_back(Only(Shown(found.path, folder, argument), FindingOf(found, "")));
    }
    return targets;
  }
  Target target{.path = argument, .folder = folder, .model = {}, .findings = {}};
  if (walk.sightings.size() == 1) target = TargetOf(std::move(walk.sightings.front()), argument);
  for (const ScanFinding& found : walk.findings) {
    const std::string path = Shown(found.path, folder, "");
    target.findings.push_back(FindingOf(found, path.empty() ? path : path.substr(1)));
  }
  if (target.model.files.empty() && target.findings.empty()) {
    target.findings.push_back(warmset::FindingOf(
        Error(ErrorCode::kUnrecognizedFormat, "there is no model in this folder"), ""));
  }
  targets.push_back(std::move(target));
  return targets;
}

// A file that says how others belong together.
bool SpeaksForOthers(const std::string& name) {
  return name == "config.json" || name == "model_index.json" || IndexStem(name).has_value();
}

// The file, or the model in its folder that it speaks for.
StatusOr<Target> TargetOfFile(const std::string& argument, const os::FileIdentity& identity) {
  const fs::path path(argument);
  ASSIGN_OR_RETURN(const std::string folder,
                   os::CanonicalPath(path.has_parent_path() ? path.parent_path() : "."));
  const std::string name = path.filename();
  if (SpeaksForOthers(name)) {
    ASSIGN_OR_RETURN(ScanWalk walk, Walk(folder, /*deep=*/false));
    for (Sighting& sighting : walk.sightings) {
      if (sighting.path == folder || sighting.path == folder + "/" + name) {
        return TargetOf(std::move(sighting), argument);
      }
    }
  }
  return Target{.path = argument,
                .folder = folder,
                .model = {.layout = ModelLayout::kFile,
                          .files = {{.path = name, .identity = identity, .content_hash = ""}}},
                .findings = {}};
}

}  // namespace

StatusOr<std::vector<Target>> FindTargets(const std::string& path) {
  if (const auto folder = os::OpenDirectory(path); folder.ok()) {
    ASSIGN_OR_RETURN(const std::string absolute, os::CanonicalPath(path));
    return TargetsIn(absolute, path);
  }
  const auto file = os::OpenForRead(path);
  std::error_code nowhere;
  if (!file.ok() && fs::is_symlink(fs::symlink_status(path, nowhere)) &&
      !fs::exists(path, nowhere)) {
    return std::vector<Target>{
        Only(path, warmset::FindingOf(
                       Error(ErrorCode::kIncompleteModel,
                             "a symlink that leads nowhere; download the file again"),
                       ""))};
  }
  if (!file.ok() && CodeOf(file.status()) == ErrorCode::kInvalidRequest) {
    return std::vector<Target>{
        Only(path, warmset::FindingOf(
                       Error(ErrorCode::kUnrecognizedFormat, "it is no file and no folder"), ""))};
  }
  RETURN_IF_ERROR(file.status());
  ASSIGN_OR_RETURN(const os::FileIdentity identity, os::Identify(file->get()));
  ASSIGN_OR_RETURN(Target target, TargetOfFile(path, identity));
  std::vector<Target> targets;
  targets.push_back(std::move(target));
  return targets;
}

}  // namespace warmset::cli
