#include "inspect/components.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>
#include <utility>

#include "base/byte_reader.h"
#include "base/strong.h"

namespace warmset {
namespace {

constexpr uint64_t kPage = 4096;
// Reading on costs less than another read, as long as the gap is small.
constexpr uint64_t kMergeGap = 64 * kKiB;

// Where a tensor belongs; sorts in the order that components are listed in.
struct Group {
  int rank = 0;       // of its kind
  std::string label;  // tells text encoders apart, in their order
  friend auto operator<=>(const Group&, const Group&) = default;
};
enum Rank { kDiffusion, kVae, kTextEncoder, kControlNet, kOther };

constexpr std::string_view kDiffusionPrefix = "model.diffusion_model.";

bool StartsWithAny(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [name](std::string_view prefix) { return name.starts_with(prefix); });
}

// "0" of "conditioner.embedders.0.transformer..." after the prefix.
std::string_view FirstPart(std::string_view rest) { return rest.substr(0, rest.find('.')); }

Group GroupOf(std::string_view name) {
  constexpr std::string_view kEmbedders = "conditioner.embedders.";
  constexpr std::string_view kTextEncoders = "text_encoders.";
  if (name.starts_with(kDiffusionPrefix)) return {kDiffusion, ""};
  if (StartsWithAny(name, {"first_stage_model.", "vae."})) return {kVae, ""};
  if (name.starts_with("cond_stage_model.")) return {kTextEncoder, ""};
  if (name.starts_with(kEmbedders)) {
    std::string number(FirstPart(name.substr(kEmbedders.size())));
    if (number.size() < 3) number.insert(0, 3 - number.size(), '0');
    return {kTextEncoder, "embedder " + number};
  }
  if (name.starts_with(kTextEncoders)) {
    const std::string_view encoder = FirstPart(name.substr(kTextEncoders.size()));
    // The order that diffusers gives them: CLIP-L, CLIP-G, then the large ones.
    const char order = encoder == "clip_l" ? '0' : encoder == "clip_g" ? '1' : '2';
    return {kTextEncoder, std::string("encoder ") + order + std::string(encoder)};
  }
  if (name.starts_with("control_model.")) return {kControlNet, ""};
  return {kOther, ""};
}

// A denoiser by its blocks' names, without the checkpoint's prefix.
std::optional<std::string_view> DenoiserType(std::string_view name) {
  if (StartsWithAny(name, {"input_blocks.", "down_blocks."})) return "unet";
  if (StartsWithAny(name, {"double_blocks.", "single_blocks.", "joint_blocks.",
                           "transformer_blocks.", "single_transformer_blocks."})) {
    return "transformer";
  }
  return std::nullopt;
}

std::string DenoiserType(std::span<const TensorEntry* const> tensors) {
  for (const TensorEntry* tensor : tensors) {
    const auto type = DenoiserType(std::string_view(tensor->name).substr(kDiffusionPrefix.size()));
    if (type) return std::string(*type);
  }
  return "unet";
}

bool IsLoraTensor(std::string_view name) {
  constexpr std::array<std::string_view, 6> kMarks = {".lora_down.", ".lora_up.",   ".lora_A.",
                                                      ".lora_B.",    ".lora.down.", ".lora.up."};
  return std::any_of(kMarks.begin(), kMarks.end(), [name](std::string_view mark) {
    return name.find(mark) != std::string_view::npos;
  });
}

// Main models may carry a few LoRA tensors: most of the matrices must be such.
bool IsLora(std::span<const TensorEntry> tensors) {
  size_t lora = 0;
  size_t others = 0;
  for (const TensorEntry& tensor : tensors) {
    if (IsLoraTensor(tensor.name)) {
      ++lora;
    } else if (tensor.shape.size() >= 2) {
      ++others;
    }
  }
  return lora > others;
}

std::string TypeOfGroup(const Group& group, std::span<const TensorEntry* const> tensors) {
  switch (group.rank) {
    case kDiffusion:
      return DenoiserType(tensors);
    case kVae:
      return "vae";
    case kTextEncoder:
      return "text_encoder";
    case kControlNet:
      return "controlnet";
    default:
      return "other";
  }
}

// What equal bytes have in common: their files' content where it is known, else
// the files themselves. ctime is left out, so that another link to a file, or a
// chmod, does not make another component of it.
ComponentId IdOf(const ComponentManifest& component, const std::vector<ManifestFile>& files) {
  ByteWriter out;
  for (const FileRun& run : component.runs) {
    const ManifestFile& file = files[run.file];
    out.WriteString(file.content_hash);
    if (file.content_hash.empty()) {
      out.Write(file.identity.device);
      out.Write(file.identity.inode);
      out.Write(file.identity.mtime_ns);
    }
    out.Write(file.identity.size);
    out.Write(run.file_offset);
    out.Write(run.bytes);
    out.Write(run.entry_offset);
  }
  out.WriteBytes(Xxh3(AsBytes(component.tensor_index)));
  return DigestOf<ComponentId>(AsBytes(out.data()));
}

void Finish(ComponentManifest& component, const std::vector<ManifestFile>& files,
            std::span<const TensorEntry> tensors,
            const std::map<std::string, std::string>& metadata) {
  component.tensor_index = EncodeTensorIndex(tensors, metadata, component.entry_bytes);
  component.tensor_count = tensors.size();
  for (const TensorEntry& tensor : tensors) {
    component.tensor_bytes += tensor.bytes;
    component.dtype_bytes[std::string(DTypeName(tensor.dtype))] += tensor.bytes;
  }
  component.id = IdOf(component, files);
}

ComponentManifest MakePartComponent(std::string name, std::string type,
                                    const std::vector<ManifestFile>& files, const FileTensors& part,
                                    std::span<const TensorEntry* const> members) {
  ComponentManifest component;
  component.name = std::move(name);
  component.type = std::move(type);
  const uint64_t file_size = files[part.file].identity.size;

  // First the runs, with the end of each as it grows; then the tensors in them.
  for (const TensorEntry* tensor : members) {
    if (tensor->bytes == 0) continue;
    const uint64_t begin = AlignDown(tensor->offset, kPage);
    const uint64_t end = std::min(AlignUp(tensor->offset + tensor->bytes, kPage), file_size);
    if (!component.runs.empty()) {
      FileRun& last = component.runs.back();
      const uint64_t last_end = last.file_offset + last.bytes;
      if (begin <= last_end + kMergeGap) {
        last.bytes = std::max(last_end, end) - last.file_offset;
        continue;
      }
    }
    component.runs.push_back({part.file, begin, end - begin, 0});
  }
  for (FileRun& run : component.runs) {
    run.entry_offset = AlignUp(component.entry_bytes, kPage);
    component.entry_bytes = run.entry_offset + run.bytes;
  }

  std::vector<TensorEntry> tensors;
  tensors.reserve(members.size());
  size_t at = 0;
  for (const TensorEntry* member : members) {
    TensorEntry tensor = *member;
    tensor.offset = 0;
    if (member->bytes != 0) {
      while (member->offset >= component.runs[at].file_offset + component.runs[at].bytes) ++at;
      const FileRun& run = component.runs[at];
      tensor.offset = run.entry_offset + (member->offset - run.file_offset);
    }
    tensors.push_back(std::move(tensor));
  }
  Finish(component, files, tensors, part.metadata);
  return component;
}

}  // namespace

ComponentManifest MakeWholeComponent(std::string name, std::string type,
                                     const std::vector<ManifestFile>& files,
                                     std::span<const FileTensors> parts) {
  ComponentManifest component;
  component.name = std::move(name);
  component.type = std::move(type);
  std::vector<TensorEntry> tensors;
  std::map<std::string, std::string> metadata;
  for (const FileTensors& part : parts) {
    const uint64_t size = files[part.file].identity.size;
    const uint64_t start = AlignUp(component.entry_bytes, kPage);
    component.runs.push_back({part.file, 0, size, start});
    component.entry_bytes = start + size;
    for (const TensorEntry& tensor : part.tensors) {
      tensors.push_back(tensor);
      tensors.back().offset += start;
    }
    metadata.insert(part.metadata.begin(), part.metadata.end());
  }
  Finish(component, files, tensors, metadata);
  return component;
}

std::vector<ComponentManifest> SplitIntoComponents(const std::vector<ManifestFile>& files,
                                                   const FileTensors& part) {
  std::map<Group, std::vector<const TensorEntry*>> groups;
  if (!IsLora(part.tensors)) {
    for (const TensorEntry& tensor : part.tensors) groups[GroupOf(tensor.name)].push_back(&tensor);
  }
  if (groups.size() <= 1) {
    return {MakeWholeComponent("model", GuessType(part.tensors), files, {&part, 1})};
  }
  std::vector<ComponentManifest> components;
  std::map<std::string, int> named;
  for (const auto& [group, tensors] : groups) {
    const std::string type = TypeOfGroup(group, tensors);
    const int number = ++named[type];
    std::string name = number == 1 ? type : type + "_" + std::to_string(number);
    components.push_back(MakePartComponent(std::move(name), type, files, part, tensors));
  }
  return components;
}

std::string GuessType(std::span<const TensorEntry> tensors) {
  if (IsLora(tensors)) return "lora";
  for (const TensorEntry& tensor : tensors) {
    if (const auto type = DenoiserType(tensor.name)) return std::string(*type);
  }
  if (tensors.empty()) return "model";
  const Group group = GroupOf(tensors.front().name);
  const bool one_group = std::all_of(tensors.begin(), tensors.end(), [&](const TensorEntry& t) {
    return GroupOf(t.name).rank == group.rank;
  });
  if (!one_group || group.rank == kOther) return "model";
  std::vector<const TensorEntry*> all;
  for (const TensorEntry& tensor : tensors) all.push_back(&tensor);
  return TypeOfGroup(group, all);
}

}  // namespace warmset
