#include "inspection/target.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "discover/scanner.h"
#include "fmt/format.h"
#include "isolate/inspector.h"
#include "os/directory.h"
#include "os/file.h"

namespace warmset::cli {
namespace {

namespace fs = std::filesystem;

Finding FindingOf(const ScanFinding& found, std::string path) {
  Finding finding = warmset::FindingOf(Error(found.code, found.message), std::move(path));
  finding.verdict = VerdictOf(found);
  return finding;
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
          .findings = std::move(sighting.findings)};
}

// A line of its own for what is no model; that it could not be looked at is its verdict.
Target Only(std::string path, Finding finding) {
  if (finding.verdict == Verdict::kOk) finding.verdict = Verdict::kUnrecognized;
  return {.path = std::move(path), .folder = {}, .model = {}, .findings = {std::move(finding)}};
}

ScanWalk LookAt(const std::string& path) {
  ShardListCache shard_lists;
  InProcessInspector lister;
  return Scanner(shard_lists, lister).LookAt(path);
}

// The one model that a path stands for, with all that was noticed on the way.
Target TargetOfWalk(ScanWalk walk, const std::string& folder, const std::string& argument) {
  Target target{.path = argument, .folder = folder, .model = {}, .findings = {}};
  if (!walk.sightings.empty()) target = TargetOf(std::move(walk.sightings.front()), argument);
  for (const ScanFinding& found : walk.findings) {
    const std::string path = Shown(found.path, folder, "");
    target.findings.push_back(FindingOf(found, path.empty() ? path : path.substr(1)));
  }
  return target;
}

std::vector<Target> TargetsIn(const std::string& folder, const std::string& argument) {
  ScanWalk walk = LookAt(folder);
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
  Target target = TargetOfWalk(std::move(walk), folder, argument);
  const bool nothing_is_wrong =
      std::all_of(target.findings.begin(), target.findings.end(),
                  [](const Finding& finding) { return finding.verdict == Verdict::kOk; });
  if (target.model.files.empty() && nothing_is_wrong) {
    target.findings.push_back(warmset::FindingOf(
        Error(ErrorCode::kUnrecognizedFormat, "there is no model in this folder"), ""));
  }
  targets.push_back(std::move(target));
  return targets;
}

// The file, or the model in its folder that it speaks for.
StatusOr<Target> TargetOfFile(const std::string& argument) {
  const fs::path path(argument);
  ASSIGN_OR_RETURN(const std::string folder,
                   os::CanonicalPath(path.has_parent_path() ? path.parent_path() : "."));
  const std::string name = path.filename();
  if (name == "config.json" || name == "model_index.json") {
    ScanWalk walk = LookAt(folder);
    for (Sighting& sighting : walk.sightings) {
      if (sighting.path == folder) return TargetOf(std::move(sighting), argument);
    }
  }
  return TargetOfWalk(LookAt((folder == "/" ? folder : folder + "/") + name), folder, argument);
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
  ASSIGN_OR_RETURN(Target target, TargetOfFile(path));
  std::vector<Target> targets;
  targets.push_back(std::move(target));
  return targets;
}

}  // namespace warmset::cli
