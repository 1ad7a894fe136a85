// identify: what models are, from headers that were read already.
#include <array>
#include <thread>
#include <utility>
#include <vector>

#include "benchmarks.h"
#include "fmt/format.h"
#include "inspect/identify/identify.h"
#include "json.h"
#include "samples.h"
#include "tensor/tensor_table.h"

namespace warmset::bench {
namespace {

Status AddTensor(TensorTable& table, const std::string& name, std::vector<uint64_t> shape) {
  TensorView tensor;
  tensor.name = name;
  tensor.dtype = DType::kBF16;
  tensor.shape = shape;
  return table.Add(tensor);
}

// The names of a language model, of a diffusion transformer or of neither.
StatusOr<TensorTable> MakeTable(unsigned kind, unsigned tensors) {
  static constexpr std::array kLayers = {
      std::to_array<std::string_view>({"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                       "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
                                       "mlp.down_proj"}),
      std::to_array<std::string_view>({"attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0",
                                       "attn2.to_q", "attn2.to_k", "ff.net.2"}),
      std::to_array<std::string_view>(
          {"a.first", "a.second", "b.first", "b.second", "c.first", "c.second", "d"})};
  static constexpr std::array<std::string_view, 3> kBlocks = {"model.layers", "transformer_blocks",
                                                              "unheard.of"};
  TensorTable table;
  for (unsigned i = 0; i < tensors; ++i) {
    const auto& layers = kLayers[kind];
    const std::string name =
        fmt::format("{}.{}.{}.weight", kBlocks[kind], i / layers.size(), layers[i % layers.size()]);
    RETURN_IF_ERROR(AddTensor(table, name, {4096, 4096}));
  }
  return table;
}

}  // namespace

Status RunIdentify(const IdentifyOptions& options) {
  std::vector<TensorTable> tables;
  for (unsigned kind = 0; kind < 3; ++kind) {
    ASSIGN_OR_RETURN(TensorTable table, MakeTable(kind, options.tensors));
    tables.push_back(std::move(table));
  }
  const auto identify = [&](unsigned i) {
    const TensorTable* const of[] = {&tables[i % tables.size()]};
    return Identify({.tensors = of, .format = "safetensors"});
  };
  const auto start = Clock::now();
  identify(0);
  const double first = SecondsSince(start);
  Samples seconds;
  for (unsigned round = 0; round < options.rounds; ++round) {
    const auto begin = Clock::now();
    std::vector<std::jthread> threads;
    for (unsigned thread = 0; thread < options.threads; ++thread) {
      threads.emplace_back([&, thread] {
        for (unsigned i = thread; i < options.headers; i += options.threads) identify(i);
      });
    }
    threads.clear();
    seconds.Add(SecondsSince(begin));
  }
  Json json;
  json.Add("benchmark", "identify").Add("headers", options.headers);
  json.Add("tensors", options.tensors).Add("threads", options.threads);
  json.Add("first_header_s", first).Add("seconds", seconds.Summary());
  fmt::print("{}\n", json.Text());
  return OkStatus();
}

}  // namespace warmset::bench
