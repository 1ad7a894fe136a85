#include "discover/ollama_layout.h"

#include <array>
#include <vector>

#include "fmt/format.h"

namespace warmset {
namespace {

constexpr size_t kManifestParts = 4;  // registry, namespace, model, tag
constexpr std::string_view kManifests = "/manifests/";
constexpr std::string_view kDefaultRegistry = "registry.ollama.ai";
constexpr std::string_view kDefaultNamespace = "library";
constexpr std::string_view kSha256Mark = "sha256-";
constexpr std::string_view kOldSha256Mark = "sha256:";  // older stores, and copies of them
constexpr std::string_view kPartial = "-partial";

class StoreReader {
 public:
  StoreReader(ScanWalkState& state, const Folder& store, const Place& place)
      : state_(state), store_(store), place_(place) {}

  void Read() {
    blobs_ = state_.List(store_.path + "/blobs", place_);
    if (blobs_) NoteUnfinished();
    ReadFolder("manifests", /*depth=*/0);
  }

 private:
  void NoteUnfinished() {
    // A large blob comes in many parts: "sha256-…-partial-0" and so on.
    std::string last;
    for (const os::DirectoryEntry& entry : blobs_->entries) {
      const size_t mark = entry.name.find(kPartial);
      const bool is_blob =
          entry.name.starts_with(kSha256Mark) || entry.name.starts_with(kOldSha256Mark);
      if (mark == std::string::npos || !is_blob) continue;
      std::string blob = entry.name.substr(0, mark);
      if (blob == last) continue;
      state_.Note(blobs_->path + "/" + blob, ErrorCode::kIncompleteModel,
                  "a download that is not finished; pull the model again to go on");
      last = std::move(blob);
    }
  }

  // path: relative to the store.
  void ReadFolder(const std::string& path, size_t depth) {
    const auto folder = state_.List(store_.path + "/" + path, place_);
    if (!folder || state_.stopped()) return;
    for (const os::DirectoryEntry& entry : folder->entries) {
      const std::string below = path + "/" + entry.name;
      if (entry.name.starts_with('.') || !IsPrintable(entry.name)) continue;
      if (depth + 1 == kManifestParts) {
        if (entry.type == os::FileType::kRegular) SightManifest(*folder, entry.name, below);
      } else if (folder->HasFolder(entry.name)) {
        ReadFolder(below, depth + 1);
      }
    }
  }

  void SightManifest(const Folder& folder, const std::string& file, const std::string& path) {
    const auto stat = os::StatAt(folder.fd.get(), file);
    if (!stat.ok()) {
      state_.Note(folder.path + "/" + file, CodeOf(stat.status()), Message(stat.status()));
      return;
    }
    Sighting sighting;
    sighting.base_name = *OllamaNameOf(path.substr(kManifests.size() - 1));
    sighting.parent = state_.Share(store_.path);
    sighting.root = state_.Share(place_.root);
    sighting.path = store_.path + "/" + path;
    sighting.folder = state_.Share(store_.path);
    sighting.boundary = state_.Share(store_.path);
    sighting.version = state_.Share(file);
    sighting.model.layout = ModelLayout::kOllama;
    sighting.model.files.push_back({path, stat->identity, ""});
    for (const std::string& blob : state_.NamedFiles(sighting.path, stat->identity)) {
      AddBlob(sighting, blob);
    }
    state_.CountFiles(1);
    state_.Sight(std::move(sighting), place_.id + "/" + path);
  }

  // What is missing is told when the model is inspected.
  void AddBlob(Sighting& sighting, const std::string& name) {
    if (!blobs_ || !name.starts_with(kSha256Mark)) return;
    const std::string digest = std::string(kOldSha256Mark) + name.substr(kSha256Mark.size());
    for (const std::string& file : {name, digest}) {
      const auto stat = os::StatAt(blobs_->fd.get(), file);
      if (!stat.ok() || stat->type != os::FileType::kRegular) continue;
      sighting.model.files.push_back({"blobs/" + file, stat->identity, digest});
      return;
    }
  }

  ScanWalkState& state_;
  const Folder& store_;
  const Place& place_;
  std::optional<Folder> blobs_;
};

// The parts of a path that has exactly so many, none of them empty.
std::optional<std::array<std::string_view, kManifestParts>> SplitManifest(std::string_view path) {
  std::array<std::string_view, kManifestParts> parts;
  for (size_t i = 0; i < kManifestParts; ++i) {
    const size_t slash = path.find('/');
    const bool last = i + 1 == kManifestParts;
    if (slash == 0 || path.empty() || (slash == std::string_view::npos) != last) {
      return std::nullopt;
    }
    parts[i] = path.substr(0, slash);
    path.remove_prefix(last ? path.size() : slash + 1);
  }
  return parts;
}

}  // namespace

bool IsOllamaStore(const Folder& folder) {
  return folder.HasFolder("manifests") && folder.HasFolder("blobs");
}

std::optional<std::string> OllamaStoreOf(const std::string& path) {
  const size_t mark = path.rfind(kManifests);
  if (mark == std::string::npos || mark == 0) return std::nullopt;
  if (!SplitManifest(std::string_view(path).substr(mark + kManifests.size()))) return std::nullopt;
  return path.substr(0, mark);
}

std::optional<std::string> OllamaNameOf(std::string_view manifest) {
  const auto parts = SplitManifest(manifest);
  if (!parts) return std::nullopt;
  const auto& [registry, name_space, model, tag] = *parts;
  std::string name = fmt::format("{}:{}", model, tag);
  const bool default_registry = registry == kDefaultRegistry;
  if (!default_registry || name_space != kDefaultNamespace) {
    name = fmt::format("{}/{}", name_space, name);
  }
  return default_registry ? name : fmt::format("{}/{}", registry, name);
}

void SightOllamaStore(ScanWalkState& state, const Folder& store, const Place& place) {
  StoreReader(state, store, place).Read();
}

}  // namespace warmset
