#include "cache/entry.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/units.h"
#include "fmt/format.h"
#include "os/huge_pages.h"
#include "os/mapping.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

constexpr uint64_t kPageBytes = 4 * kKiB;
constexpr std::string_view kIndexMemoryName = "warmset-index";
constexpr size_t kNamedTensors = 3;

// "tensors a, b, c and 12 more"; empty when no tensor lies there.
std::string TensorsIn(const ComponentManifest& component, uint64_t begin, uint64_t end) {
  const auto index = TensorIndex::Parse(AsBytes(component.tensor_index));
  if (!index.ok()) return "";
  std::string names;
  size_t found = 0;
  for (uint64_t i = 0; i < index->tensor_count(); ++i) {
    const TensorEntry tensor = index->tensor(i);
    if (tensor.bytes == 0 || tensor.offset >= end || tensor.offset + tensor.bytes <= begin) {
      continue;
    }
    if (++found <= kNamedTensors) names += (found > 1 ? ", " : " in tensors ") + tensor.name;
  }
  if (found > kNamedTensors) names += fmt::format(" and {} more", found - kNamedTensors);
  return names;
}

StatusOr<bool> SameBytes(int a, int b, uint64_t bytes) {
  ASSIGN_OR_RETURN(const os::Mapping left,
                   os::Mapping::Create(a, bytes, os::Mapping::Kind::kSharedReadOnly));
  ASSIGN_OR_RETURN(const os::Mapping right,
                   os::Mapping::Create(b, bytes, os::Mapping::Kind::kSharedReadOnly));
  return bytes == 0 || std::memcmp(left.data(), right.data(), bytes) == 0;
}

}  // namespace

ByteCount EntryMemory(const ComponentManifest& component) {
  return ByteCount(AlignUp(component.entry_bytes, kPageBytes) +
                   AlignUp(component.tensor_index.size(), kPageBytes));
}

StatusOr<uint64_t> FitMemory(LoadMemory& memory, const ComponentManifest& component) {
  uint64_t touched = 0;
  if (memory.file.fd() < 0) {
    ASSIGN_OR_RETURN(memory.file,
                     os::MemoryFile::Create(os::EntryMemoryName(), component.entry_bytes));
  } else {
    touched = std::min(memory.file.size(), component.entry_bytes);
    RETURN_IF_ERROR(memory.file.Resize(component.entry_bytes));
  }
  memory.reservation.ShrinkTo(EntryMemory(component));
  return touched;
}

Status CompareDigests(const ComponentManifest& component, std::span<const ChunkDigest> chunks,
                      std::span<const ChunkDigest> known) {
  if (known.empty()) return OkStatus();
  const auto [differs, was] =
      std::mismatch(chunks.begin(), chunks.end(), known.begin(), known.end());
  if (differs == chunks.end() && was == known.end()) return OkStatus();
  const uint64_t begin = static_cast<uint64_t>(differs - chunks.begin()) * kDigestChunkBytes;
  const uint64_t end = std::min(begin + kDigestChunkBytes, component.entry_bytes);
  return Error(ErrorCode::kCorruptedModel,
               fmt::format("the content of {} is not what it was at its first load: bytes {} to {} "
                           "of it differ{}; restore its files",
                           component.name, begin, end, TensorsIn(component, begin, end)));
}

StatusOr<std::unique_ptr<Entry>> FilledEntry::VerifyAndSeal(std::span<const ChunkDigest> known) && {
  RETURN_IF_ERROR(CompareDigests(component, chunks, known));
  std::unique_ptr<Entry> entry(new Entry);
  entry->component_ = component.id;
  entry->reservation_ = std::move(memory.reservation);
  entry->data_ = std::move(memory.file);
  entry->huge_page_bytes_ =
      entry->data_.guarded() ? huge_page_bytes : os::HugePageBytes(entry->data_.writable());
  RETURN_IF_ERROR(entry->data_.Seal());
  ASSIGN_OR_RETURN(entry->index_,
                   os::MakeSealedFile(kIndexMemoryName, AsBytes(component.tensor_index)));
  entry->load_time_ = load_time;
  entry->content_ = CombineDigests(chunks);
  entry->chunks_ = std::move(chunks);
  entry->SetMemoryKind(MemoryKind::kEntries);
  return entry;
}

StatusOr<std::unique_ptr<Entry>> CopyEntry(const Entry& entry, const ComponentManifest& component,
                                           LoadMemory memory) {
  RETURN_IF_ERROR(FitMemory(memory, component).status());
  ASSIGN_OR_RETURN(const os::Mapping from, os::Mapping::Create(entry.data_fd(), entry.bytes(),
                                                               os::Mapping::Kind::kSharedReadOnly));
  if (from.size() != memory.file.size()) {
    return Error(ErrorCode::kInternal, "an entry and its copy differ in size");
  }
  std::copy(from.span().begin(), from.span().end(), memory.file.writable().data());
  return FilledEntry{.component = component,
                     .memory = std::move(memory),
                     .chunks = entry.chunks(),
                     .load_time = entry.load_time()}
      .VerifyAndSeal({});
}

StatusOr<std::unique_ptr<Entry>> AdoptEntry(const ComponentManifest& component, LoadMemory memory,
                                            std::span<const ChunkDigest> known,
                                            const std::stop_token& stop) {
  const auto started = std::chrono::steady_clock::now();
  if (known.empty() || memory.file.size() != component.entry_bytes) {
    return Error(ErrorCode::kCorruptedModel, "it is not known what the file should hold");
  }
  memory.reservation.ShrinkTo(EntryMemory(component));
  ASSIGN_OR_RETURN(const os::Mapping view, os::Mapping::Create(memory.file.fd(), memory.file.size(),
                                                               os::Mapping::Kind::kSharedReadOnly));
  std::vector<ChunkDigest> chunks;
  for (uint64_t at = 0; at < view.size(); at += kDigestChunkBytes) {
    if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "the check was stopped");
    chunks.push_back(DigestOf<ChunkDigest>(
        view.span().subspan(at, std::min(kDigestChunkBytes, view.size() - at))));
  }
  return FilledEntry{.component = component,
                     .memory = std::move(memory),
                     .chunks = std::move(chunks),
                     .load_time = std::chrono::steady_clock::now() - started,
                     .huge_page_bytes = os::HugePageBytes(view)}
      .VerifyAndSeal(known);
}

StatusOr<bool> SameContent(const Entry& a, const Entry& b) {
  if (a.bytes() != b.bytes() || a.index_bytes() != b.index_bytes()) return false;
  ASSIGN_OR_RETURN(const bool same_index, SameBytes(a.index_fd(), b.index_fd(), a.index_bytes()));
  if (!same_index) return false;
  return SameBytes(a.data_fd(), b.data_fd(), a.bytes());
}

}  // namespace warmset
