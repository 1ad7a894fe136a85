#pragma once

#include <atomic>
#include <cstdint>
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
// kFileNotFound, kCancelled, kIoError. Blocks; for a thread of a pool. What was read is
// added to read_bytes, where given, as it comes.
Status VerifyFiles(const ComponentManifest& component, std::span<const SourceFile> files,
                   std::span<const ChunkDigest> known_digests, std::stop_token stop,
                   std::atomic<uint64_t>* read_bytes = nullptr);

}  // namespace warmset
