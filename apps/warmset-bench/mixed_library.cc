#include "mixed_library.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/byte_reader.h"
#include "base/digest.h"
#include "base/strong.h"
#include "fmt/format.h"
#include "os/file.h"

namespace warmset::bench {
namespace {

constexpr uint32_t kElements = 64;  // of the one F32 tensor of a small file
constexpr size_t kTensorBytes = kElements * sizeof(float);

std::string TensorData(unsigned seed) { return std::string(kTensorBytes, static_cast<char>(seed)); }

std::string WithLength(const std::string& json) {
  ByteWriter out;
  out.Write(static_cast<uint64_t>(json.size()));
  return out.Take() + json;
}

std::string Safetensors(unsigned seed) {
  return WithLength(fmt::format(
             R"({{"layers.{}.weight":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}})", seed,
             kElements, kTensorBytes)) +
         TensorData(seed);
}

std::string Gguf(unsigned seed) {
  const auto text = [](ByteWriter& out, std::string_view value) {
    out.Write(static_cast<uint64_t>(value.size()));
    out.WriteBytes(AsBytes(value));
  };
  constexpr uint32_t kString = 8;
  ByteWriter out;
  out.WriteBytes(AsBytes("GGUF"));
  out.Write(uint32_t{3});
  out.Write(int64_t{1});  // tensors
  out.Write(int64_t{1});  // pairs
  text(out, "general.architecture");
  out.Write(kString);
  text(out, "llama");
  text(out, fmt::format("blk.{}.attn_q.weight", seed));
  out.Write(uint32_t{1});  // dimensions
  out.Write(uint64_t{kElements});
  out.Write(uint32_t{0});  // F32
  out.Write(uint64_t{0});
  std::string file = out.Take();
  file.resize(AlignUp(file.size(), 32), '\0');
  return file + TensorData(seed);
}

uint32_t Crc32(std::string_view data) {
  uint32_t crc = ~uint32_t{0};
  for (const char byte : data) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0xEDB88320 & (0 - (crc & 1)));
  }
  return ~crc;
}

// Stored entries, as torch.save() writes them.
std::string Zip(const std::vector<std::pair<std::string, std::string>>& entries) {
  ByteWriter files;
  ByteWriter directory;
  const auto describe = [](ByteWriter& out, const std::string& name, const std::string& data) {
    out.Write(uint16_t{0});  // flags
    out.Write(uint16_t{0});  // stored
    out.Write(uint32_t{0});  // time and date
    out.Write(Crc32(data));
    out.Write(static_cast<uint32_t>(data.size()));
    out.Write(static_cast<uint32_t>(data.size()));
    out.Write(static_cast<uint16_t>(name.size()));
    out.Write(uint16_t{0});  // extra
  };
  for (const auto& [name, data] : entries) {
    const auto offset = static_cast<uint32_t>(files.data().size());
    files.Write(uint32_t{0x04034B50});
    files.Write(uint16_t{20});
    describe(files, name, data);
    files.WriteBytes(AsBytes(name));
    files.WriteBytes(AsBytes(data));
    directory.Write(uint32_t{0x02014B50});
    directory.Write(uint32_t{20 << 16 | 20});
    describe(directory, name, data);
    directory.Write(uint16_t{0});  // comment
    directory.Write(uint32_t{0});  // disk, attributes
    directory.Write(uint32_t{0});
    directory.Write(offset);
    directory.WriteBytes(AsBytes(name));
  }
  const auto begin = static_cast<uint32_t>(files.data().size());
  const auto count = static_cast<uint16_t>(entries.size());
  ByteWriter end;
  end.Write(uint32_t{0x06054B50});
  end.Write(uint32_t{0});  // disks
  end.Write(count);
  end.Write(count);
  end.Write(static_cast<uint32_t>(directory.data().size()));
  end.Write(begin);
  end.Write(uint16_t{0});
  return files.data() + directory.data() + end.data();
}

// {name: torch.FloatTensor of kElements}, in the opcodes of protocol 2.
std::string Pickle(const std::string& tensor) {
  const auto text = [](const std::string& value) {
    ByteWriter out;
    out.WriteString(value);
    return "X" + out.Take();
  };
  const std::string elements = {'K', static_cast<char>(kElements)};
  return std::string("\x80\x02}", 3) + text(tensor) +
         "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" +
         text("0") + text("cpu") + elements + "tQ" + std::string("K\0", 2) + elements + "\x85" +
         "K\x01\x85\x89" + "ccollections\nOrderedDict\n)RtRs.";
}

std::string Pytorch(unsigned seed) {
  return Zip({{"archive/data.pkl", Pickle(fmt::format("layers.{}.weight", seed))},
              {"archive/byteorder", "little"},
              {"archive/data/0", TensorData(seed)},
              {"archive/version", "3\n"}});
}

// A field of a protobuf message: a varint, or a length and bytes.
std::string Varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
  return out;
}
std::string Field(unsigned number, uint64_t value) { return Varint(number << 3) + Varint(value); }
std::string Field(unsigned number, const std::string& bytes) {
  return Varint(number << 3 | 2) + Varint(bytes.size()) + bytes;
}

// One Add of an initialiser to the input.
std::string Onnx(unsigned seed) {
  const std::string name = fmt::format("layers.{}.weight", seed);
  const std::string weight =
      Field(1, kElements) + Field(2, 1) + Field(8, name) + Field(9, TensorData(seed));
  const auto value = [](const std::string& value_name) {
    const std::string shape = Field(1, Field(1, kElements));
    return Field(1, value_name) + Field(2, Field(1, Field(1, 1) + Field(2, shape)));
  };
  const std::string node = Field(1, "x") + Field(1, name) + Field(2, "y") + Field(4, "Add");
  const std::string graph = Field(1, node) + Field(2, "graph") + Field(5, weight) +
                            Field(11, value("x")) + Field(12, value("y"));
  return Field(1, 8) + Field(7, graph) + Field(8, Field(2, 17));
}

StatusOr<os::UniqueFd> Create(const std::filesystem::path& path) {
  os::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file.valid()) return ErrnoError(errno, "create " + path.string());
  return file;
}

Status WriteFile(const std::filesystem::path& path, const std::string& content, uint64_t size) {
  ASSIGN_OR_RETURN(const os::UniqueFd file, Create(path));
  RETURN_IF_ERROR(os::WriteAt(file.get(), AsBytes(content), 0));
  if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0) {
    return ErrnoError(errno, "resize " + path.string());
  }
  return OkStatus();
}

}  // namespace

Status WriteMixedLibrary(const std::filesystem::path& root, unsigned files, unsigned folders) {
  struct Format {
    std::string_view extension;
    std::string (*make)(unsigned seed);
  };
  constexpr std::array<Format, 4> kFormats = {{{"safetensors", Safetensors},
                                               {"gguf", Gguf},
                                               {"pt", Pytorch},
                                               {"onnx", Onnx}}};
  for (unsigned i = 0; i < files; ++i) {
    const auto folder = root / fmt::format("publisher-{:03}", i % folders);
    std::filesystem::create_directories(folder);
    const Format& format = kFormats[i / folders % kFormats.size()];
    const std::string content = format.make(i);
    RETURN_IF_ERROR(WriteFile(folder / fmt::format("adapter-{:05}.{}", i, format.extension),
                              content, content.size()));
  }
  return OkStatus();
}

Status WriteLongHeader(const std::filesystem::path& path, unsigned tensors) {
  std::string json = "{";
  for (unsigned i = 0; i < tensors; ++i) {
    json += fmt::format(R"({}"layers.{}":{{"dtype":"U8","shape":[1],"data_offsets":[{},{}]}})",
                        i == 0 ? "" : ",", i, i, i + 1);
  }
  json += "}";
  return WriteFile(path, WithLength(json), sizeof(uint64_t) + json.size() + tensors);
}

Status WriteSparseCheckpoint(const std::filesystem::path& path, uint64_t bytes) {
  std::vector<std::pair<std::string, std::vector<uint64_t>>> tensors = {
      {"model.diffusion_model.input_blocks.0.0.weight", {320, 4, 3, 3}},
      {"model.diffusion_model.label_emb.0.0.weight", {1280, 2816}},
      {"first_stage_model.decoder.conv_in.weight", {512, 4, 3, 3}}};
  constexpr std::string_view kBlock = "transformer_blocks";
  for (const int block : {4, 5, 7, 8}) {
    for (int layer = 0; layer < (block < 6 ? 2 : 10); ++layer) {
      for (const std::string_view part : {"attn1.to_q", "attn1.to_k", "attn1.to_v", "attn2.to_q",
                                          "attn2.to_k", "attn2.to_v", "attn2.to_out.0"}) {
        const uint64_t width = block < 6 ? 640 : 1280;
        const bool context = part.starts_with("attn2.to_k") || part.starts_with("attn2.to_v");
        tensors.push_back({fmt::format("model.diffusion_model.input_blocks.{}.1.{}.{}.{}.weight",
                                       block, kBlock, layer, part),
                           {width, context ? 2048 : width}});
      }
    }
  }
  for (const auto& [encoder, layers, width] :
       {std::tuple{"0.transformer.text_model.encoder.layers", 12, 768},
        std::tuple{"1.model.transformer.resblocks", 32, 1280}}) {
    for (int layer = 0; layer < layers; ++layer) {
      for (const std::string_view part : {"ln_1", "ln_2", "attn.in_proj", "mlp.c_fc"}) {
        tensors.push_back(
            {fmt::format("conditioner.embedders.{}.{}.{}.weight", encoder, layer, part),
             {static_cast<uint64_t>(width)}});
      }
    }
  }
  std::string json = "{";
  uint64_t offset = 0;
  for (const auto& [name, shape] : tensors) {
    uint64_t size = 2;
    for (const uint64_t dim : shape) size *= dim;
    json += fmt::format(R"("{}":{{"dtype":"F16","shape":[{}],"data_offsets":[{},{}]}},)", name,
                        fmt::join(shape, ","), offset, offset + size);
    offset += size;
  }
  const uint64_t rest = bytes - offset;
  json += fmt::format(R"("model.diffusion_model.out.2.weight":{{"dtype":"U8","shape":[{}],)"
                      R"("data_offsets":[{},{}]}}}})",
                      rest, offset, bytes);
  return WriteFile(path, WithLength(json), sizeof(uint64_t) + json.size() + bytes);
}

}  // namespace warmset::bench
