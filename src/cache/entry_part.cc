#include "cache/entry_part.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <string_view>
#include <utility>

#include "base/units.h"
#include "fmt/format.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

constexpr uint64_t kAlignment = 64;

}  // namespace

Status NoSuchTensor(std::string_view name) {
  return Error(ErrorCode::kTensorNotFound,
               fmt::format("there is no tensor '{}'; tensors are named as in the file, "
                           "`warmset inspect --tensors` lists them",
                           name));
}

StatusOr<EntryPart> SelectTensors(const ComponentManifest& whole,
                                  std::span<const std::string> names) {
  ASSIGN_OR_RETURN(const TensorIndex index, TensorIndex::Parse(AsBytes(whole.tensor_index)));
  std::set<std::string_view> wanted(names.begin(), names.end());
  EntryPart part;
  part.component.name = whole.name;
  part.component.type = whole.type;
  part.component.id = whole.id;
  std::vector<TensorEntry> tensors;
  uint64_t end = 0;
  for (uint64_t i = 0; i < index.tensor_count(); ++i) {
    TensorEntry tensor = index.tensor(i);
    if (wanted.erase(tensor.name) == 0) continue;
    const uint64_t to = AlignUp(end, kAlignment);
    part.pieces.push_back({tensor.offset, to, tensor.bytes});
    end = to + tensor.bytes;
    tensor.offset = to;
    tensors.push_back(std::move(tensor));
  }
  if (!wanted.empty()) return NoSuchTensor(*wanted.begin());
  part.component.entry_bytes = end;
  part.component.tensor_index = EncodeTensorIndex(tensors, index.metadata(), end);
  return part;
}

StatusOr<std::unique_ptr<Entry>> DecodePart(const CompressedEntry& compressed,
                                            const EntryPart& part, LoadMemory memory) {
  const auto started = std::chrono::steady_clock::now();
  RETURN_IF_ERROR(FitMemory(memory, part.component).status());
  const std::span<std::byte> bytes = memory.file.writable().span();
  for (const EntryPart::Piece& piece : part.pieces) {
    RETURN_IF_ERROR(compressed.DecodeRange(piece.from, bytes.subspan(piece.to, piece.bytes)));
  }
  std::vector<ChunkDigest> chunks;
  for (uint64_t at = 0; at < part.component.entry_bytes; at += kDigestChunkBytes) {
    chunks.push_back(DigestOf<ChunkDigest>(
        bytes.subspan(at, std::min(kDigestChunkBytes, part.component.entry_bytes - at))));
  }
  return FilledEntry{.component = part.component,
                     .memory = std::move(memory),
                     .chunks = std::move(chunks),
                     .load_time = std::chrono::steady_clock::now() - started}
      .VerifyAndSeal({});
}

}  // namespace warmset
