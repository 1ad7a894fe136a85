#include "inspect/pytorch/reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "base/strong.h"
#include "inspect/pytorch/forms.h"
#include "inspect/weight_sets.h"
#include "inspect/zip/zip_directory.h"

namespace warmset {
namespace {

constexpr std::array<std::string_view, 3> kEndings = {".pt", ".pth", ".ckpt"};
// Other programs' files are called .bin, too.
constexpr std::array<std::string_view, 5> kBinStems = {
    "pytorch_model", "diffusion_pytorch_model", "adapter_model", "pytorch_lora_weights",
    "open_clip_pytorch_model"};

constexpr std::byte kProtoOpcode{0x80};
constexpr uint8_t kLastProtocol = 5;

bool IsNamed(std::string_view name) {
  for (const std::string_view ending : kEndings) {
    if (EndsWithIgnoreCase(name, ending)) return true;
  }
  if (!EndsWithIgnoreCase(name, ".bin")) return false;
  for (const std::string_view stem : kBinStems) {
    if (name.starts_with(stem)) return true;
  }
  return false;
}

bool BeginsWithProtocol(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == kProtoOpcode &&
         std::to_integer<uint8_t>(bytes[1]) <= kLastProtocol;
}

// Whether a pickle machine takes the file's start for a pickle. Text and other
// binary formats soon meet a byte that is no opcode, or a value that is missing.
bool BeginsWithPickle(const FileStart& start) {
  MemorySource source(start.bytes);
  PickleHeap heap;
  PickleBudget budget;
  Problems problems;
  PickleInterpreter pickles(source, 0, {}, heap, budget, problems);
  const auto value = pickles.RunStream();
  if (!value.ok()) return false;
  const PickleTraits& traits = pickles.traits();
  const bool whole = value->has_value();
  const bool cut = pickles.remaining() == 0 && start.bytes.size() < start.file_size;
  if (BeginsWithProtocol(start.bytes)) return whole || cut || traits.globals;
  // Without a protocol, as up to protocol 1: only where it calls something.
  return traits.called;
}

// Whether only the file's name says that it is a pickle: it may be any file at the end
// of a link, and then what is said of it must not quote it.
StatusOr<bool> IsPickleByNameOnly(ByteSource& file) {
  std::vector<std::byte> start(std::min<uint64_t>(file.size(), kFileStartBytes));
  RETURN_IF_ERROR(file.Read(0, start));
  return !start.empty() && start[0] != kProtoOpcode &&
         !BeginsWithPickle({.name = {}, .bytes = start, .file_size = file.size()});
}

Problems WithoutContent(const Problems& problems) {
  const Verdict worst = problems.worst();
  Problems told;
  told.Add(Error(CodeOfVerdict(worst),
                 worst == Verdict::kUnsafe
                     ? "it begins as no file of PyTorch's does, and would run code if it were "
                       "loaded as a pickle; do not load it"
                     : "it begins as no file of PyTorch's does, neither as an archive nor as a "
                       "pickle; download it again"));
  return told;
}

// Whether a zip archive ends the file.
StatusOr<bool> EndsWithZip(ByteSource& file) {
  constexpr uint64_t kEndBytes = 22;
  constexpr uint64_t kMaxCommentBytes = UINT16_MAX;
  const uint64_t bytes = std::min(file.size(), kEndBytes + kMaxCommentBytes);
  ASSIGN_OR_RETURN(const std::string tail, ReadText(file, file.size() - bytes, bytes));
  return tail.find(std::string_view("PK\5\6", 4)) != std::string::npos;
}

}  // namespace

FormatReader::Match PytorchReader::Recognise(const FileStart& start) const {
  const std::string_view text(reinterpret_cast<const char*>(start.bytes.data()),
                              start.bytes.size());
  if (text.starts_with(kZipMagic) || IsTar(start.bytes) || BeginsWithPickle(start)) {
    return Match::kByContent;
  }
  return IsNamed(start.name) ? Match::kByName : Match::kNo;
}

Status PytorchReader::Read(ByteSource& file, OtherFiles&, FileContents& contents) const {
  std::array<std::byte, 512> buffer;
  const std::span<std::byte> start(buffer.data(), std::min<uint64_t>(buffer.size(), file.size()));
  RETURN_IF_ERROR(file.Read(0, start));
  Problems problems;
  if (std::memcmp(buffer.data(), kZipMagic.data(), std::min(start.size(), kZipMagic.size())) == 0 &&
      start.size() >= kZipMagic.size()) {
    RETURN_IF_ERROR(ReadZipForm(file, contents, problems));
    return std::move(problems).Report(contents);
  }
  if (IsTar(start)) {
    RETURN_IF_ERROR(ReadTarForm(file, problems));
  } else {
    RETURN_IF_ERROR(ReadPickleForm(file, contents, problems));
    ASSIGN_OR_RETURN(const bool by_name_only, IsPickleByNameOnly(file));
    if (by_name_only && !problems.empty()) problems = WithoutContent(problems);
  }
  // Loaders that look for an archive from the end see another file than PyTorch does.
  ASSIGN_OR_RETURN(const bool zip, EndsWithZip(file));
  if (zip) RETURN_IF_ERROR(LookThroughZip(file, problems));
  return std::move(problems).Report(contents);
}

}  // namespace warmset
