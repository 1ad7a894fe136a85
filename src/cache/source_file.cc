#include "cache/source_file.h"

#include <algorithm>

#include "base/byte_reader.h"
#include "base/digest.h"
#include "base/strong.h"
#include "fmt/format.h"

namespace warmset {
namespace {

Status CheckIdentity(const SourceFile& file, int fd, bool digests_known) {
  auto now = os::Identify(fd);
  if (!now.ok()) return Annotate(now.status(), file.path);
  if (*now == file.identity) return OkStatus();
  if (digests_known && os::SameButForCtime(*now, file.identity)) return OkStatus();
  return Error(ErrorCode::kFileChanged, file.path + " has changed since it was inspected");
}

}  // namespace

StatusOr<OpenSources> OpenSources::Open(const ComponentManifest& component,
                                        std::span<const SourceFile> files, bool digests_known) {
  OpenSources sources(files, digests_known);
  for (const FileRun& run : component.runs) {
    if (run.file >= files.size()) {
      return Error(ErrorCode::kInternal,
                   fmt::format("{} names file {} of {}", component.name, run.file, files.size()));
    }
    if (sources.opened_.contains(run.file)) continue;
    const SourceFile& source = files[run.file];
    Opened opened;
    int fd = -1;
    if (source.passed != nullptr) {
      fd = source.passed->get();
    } else {
      ASSIGN_OR_RETURN(opened.own, os::OpenForRead(source.path));
      fd = opened.own.get();
    }
    RETURN_IF_ERROR(CheckIdentity(source, fd, digests_known));
    opened.fd = fd;
    opened.bulk = std::make_unique<os::BulkFile>(os::BulkFile::Open(fd, source.path));
    sources.opened_.emplace(run.file, std::move(opened));
  }
  return sources;
}

Status OpenSources::CheckUnchanged() const {
  for (const auto& [index, opened] : opened_) {
    RETURN_IF_ERROR(CheckIdentity(files_[index], opened.fd, digests_known_));
  }
  return OkStatus();
}

StatusOr<std::vector<SourceBlock>> OpenSources::Blocks(const ComponentManifest& component) const {
  std::vector<SourceBlock> blocks;
  for (const FileRun& run : component.runs) {
    const auto end = CheckedAdd(run.entry_offset, run.bytes);
    if (!end || *end > component.entry_bytes) {
      return Error(ErrorCode::kInternal,
                   fmt::format("a run of {} ends behind the entry", component.name));
    }
    for (uint64_t at = run.entry_offset; at < *end;) {
      const uint64_t chunk = at / kDigestChunkBytes;
      const uint64_t bytes = std::min((chunk + 1) * kDigestChunkBytes, *end) - at;
      blocks.push_back({.file = opened_.at(run.file).bulk.get(),
                        .file_offset = run.file_offset + (at - run.entry_offset),
                        .bytes = bytes,
                        .entry_offset = at});
      at += bytes;
    }
  }
  std::sort(blocks.begin(), blocks.end(), [](const SourceBlock& a, const SourceBlock& b) {
    return a.entry_offset < b.entry_offset;
  });
  return blocks;
}

}  // namespace warmset
