#include "model_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <vector>

#include "base/strong.h"
#include "codec/synthetic_weights.h"
#include "fmt/format.h"
#include "os/file.h"

namespace warmset::bench {
namespace {

constexpr uint64_t kElementBytes = 2;

// metadata: empty, or a member with a comma behind it.
std::string Header(unsigned tensors, uint64_t tensor_bytes, std::string_view dtype,
                   std::string_view metadata = "") {
  std::string json = fmt::format("{{{}", metadata);
  for (unsigned i = 0; i < tensors; ++i) {
    json += fmt::format(
        R"({}"layers.{}.weight":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
        i == 0 ? "" : ",", i, dtype, tensor_bytes / kElementBytes, i * tensor_bytes,
        (i + 1) * tensor_bytes);
  }
  json += "}";
  json.resize(AlignUp(json.size(), 8), ' ');
  const uint64_t size = json.size();
  std::string header(sizeof(size), '\0');
  std::memcpy(header.data(), &size, sizeof(size));
  return header + json;
}

}  // namespace

Status WriteModel(const std::filesystem::path& path, unsigned tensors, uint64_t tensor_bytes,
                  uint64_t seed) {
  const os::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return ErrnoError(errno, "create " + path.string());
  const std::string header = Header(tensors, tensor_bytes, "F16");
  RETURN_IF_ERROR(os::WriteAt(file.get(), std::as_bytes(std::span(header)), 0));

  std::mt19937_64 random(seed);
  std::vector<uint64_t> block(std::min(tensor_bytes * tensors, 4 * kMiB) / sizeof(uint64_t) + 1);
  const uint64_t end = header.size() + tensors * tensor_bytes;
  for (uint64_t at = header.size(); at < end;) {
    std::generate(block.begin(), block.end(), std::ref(random));
    const auto bytes = std::as_bytes(std::span(block));
    const uint64_t part = std::min<uint64_t>(bytes.size(), end - at);
    RETURN_IF_ERROR(os::WriteAt(file.get(), bytes.first(part), at));
    at += part;
  }
  return OkStatus();
}

Status WriteModel(const std::filesystem::path& path, uint64_t mib) {
  constexpr uint64_t kTensorBytes = 64 * kMiB;
  const uint64_t tensors = std::max<uint64_t>(1, mib * kMiB / kTensorBytes);
  RETURN_IF_ERROR(WriteModel(path, static_cast<unsigned>(tensors),
                             std::min(mib * kMiB, kTensorBytes), /*seed=*/1));
  return DropFromPageCache(path);
}

Status WriteTrainedModel(const std::filesystem::path& path, uint64_t mib, uint64_t seed) {
  constexpr uint64_t kTensorBytes = 8 * kMiB;
  static const std::vector<std::byte> weights = codec::MakeSyntheticWeights(
      {.dtype = DType::kBF16, .rows = kTensorBytes / 2048, .columns = 1024});
  const auto tensors = static_cast<unsigned>(std::max<uint64_t>(1, mib * kMiB / kTensorBytes));
  const os::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return ErrnoError(errno, "create " + path.string());
  const std::string header =
      Header(tensors, kTensorBytes, "BF16",
             fmt::format(R"("__metadata__":{{"seed":"{}"}},)", seed));
  RETURN_IF_ERROR(os::WriteAt(file.get(), std::as_bytes(std::span(header)), 0));
  for (unsigned i = 0; i < tensors; ++i) {
    RETURN_IF_ERROR(os::WriteAt(file.get(), weights, header.size() + i * kTensorBytes));
  }
  return DropFromPageCache(path);
}

Status DropFromPageCache(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const os::UniqueFd file, os::OpenForRead(path.string()));
  if (::fdatasync(file.get()) != 0) return ErrnoError(errno, "sync " + path.string());
  if (const int error = ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED); error != 0) {
    return ErrnoError(error, "drop " + path.string() + " from the page cache");
  }
  ASSIGN_OR_RETURN(const os::FileIdentity identity, os::Identify(file.get()));
  void* const map = ::mmap(nullptr, identity.size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (map == MAP_FAILED) return ErrnoError(errno, "map " + path.string());
  std::vector<unsigned char> resident(AlignUp(identity.size, 4 * kKiB) / (4 * kKiB));
  const int result = ::mincore(map, identity.size, resident.data());
  const int error = errno;
  ::munmap(map, identity.size);
  if (result != 0) return ErrnoError(error, "look at the pages of " + path.string());
  const auto left = std::count_if(resident.begin(), resident.end(), [](auto page) { return page & 1; });
  // A few pages that readahead has in hand are no warm file.
  if (static_cast<size_t>(left) * 100 > resident.size()) {
    return Error(ErrorCode::kIoError,
                 fmt::format("{} of {} pages of {} stay in the page cache", left, resident.size(),
                             path.string()));
  }
  return OkStatus();
}

}  // namespace warmset::bench
