#pragma once

#include <span>
#include <stop_token>

#include "base/digest.h"
#include "base/status.h"
#include "cache/source_file.h"
#include "inspect/manifest.h"

namespace warmset {

// Reads a component's runs and compares them with the digests of its first
// load, keeping nothing. kCorruptedModel names the first chunk that differs and
// its tensors; kFileChanged when more than a ctime differs from the manifest;
// kFileNotFound, kCancelled, kIoError. Blocks; for a thread of a pool.
Status VerifyFiles(const ComponentManifest& component, std::span<const SourceFile> files,
                   std::span<const ChunkDigest> known_digests, std::stop_token stop);

}  // namespace warmset
