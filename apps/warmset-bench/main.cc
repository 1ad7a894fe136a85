// warmset-bench: figures of Warmset on this machine, as JSON. See bench/README.md.
#include <cstdio>
#include <functional>

#include "CLI/CLI.hpp"
#include "benchmarks.h"
#include "codec_bench.h"
#include "fmt/format.h"
#include "policy_bench.h"

namespace {

void Example(CLI::App* command, const std::string& text) { command->footer("Example:\n  " + text); }

}  // namespace

int main(int argc, char** argv) {
  using namespace warmset;
  using namespace warmset::bench;

  CLI::App app(
      "Measures Warmset on this machine and prints JSON. Each benchmark starts a daemon "
      "of its own; nothing that runs already is disturbed.",
      "warmset-bench");
  app.require_subcommand(1);
  std::function<Status()> action;

  LoadOptions load;
  CLI::App* command = app.add_subcommand("load", "A cold file to a published entry, beside fio");
  command->add_option("--dir", load.folder, "folder on the disk to measure")->capture_default_str();
  command->add_option("--mib", load.mib, "size of the file")->capture_default_str();
  command->add_option("--rounds", load.rounds, "pairs of fio and load")->capture_default_str();
  command->add_flag("!--no-reserve", load.reserve, "first touch of memory within the load");
  Example(command, "warmset-bench load --dir /mnt/models --mib 4096");
  command->callback([&] { action = [&] { return RunLoad(load); }; });

  AttachOptions attach;
  command = app.add_subcommand("attach", "A fresh process, from connect to every page");
  command->add_option("--dir", attach.folder, "folder for the model's file")->capture_default_str();
  command->add_option("--mib", attach.mib, "size of the model")->capture_default_str();
  command->add_option("--rounds", attach.rounds, "processes for each step")->capture_default_str();
  Example(command, "warmset-bench attach --mib 1024");
  command->callback([&] { action = [&] { return RunAttach(attach); }; });

  RpcOptions rpc;
  command = app.add_subcommand("rpc", "Round trips of state requests");
  command->add_option("--rounds", rpc.rounds, "single calls")->capture_default_str();
  Example(command, "warmset-bench rpc --rounds 10000");
  command->callback([&] { action = [&] { return RunRpc(rpc); }; });

  ScanOptions scan;
  command = app.add_subcommand("scan", "A library of small files, for the first time and again");
  command->add_option("--dir", scan.folder, "folder for the library")->capture_default_str();
  command->add_option("--files", scan.files, "safetensors files")->capture_default_str();
  command->add_option("--folders", scan.folders, "folders they lie in")->capture_default_str();
  command->add_option("--rounds", scan.rounds, "daemons that know nothing yet")
      ->capture_default_str();
  Example(command, "warmset-bench scan --dir /mnt/models");
  command->callback([&] { action = [&] { return RunScan(scan); }; });

  CodecOptions codec;
  command = app.add_subcommand("codec", "Codecs from RAM to RAM, beside memcpy");
  command->add_option("--file", codec.file, "safetensors file; synthetic weights if not given");
  command->add_option("--mib", codec.mib, "of each dtype")->capture_default_str();
  command->add_option("--rounds", codec.rounds, "interleaved rounds")->capture_default_str();
  Example(command, "warmset-bench codec --file model.safetensors");
  command->callback([&] { action = [&] { return RunCodec(codec); }; });

  PolicyOptions policy;
  command = app.add_subcommand("policy", "Eviction policies on a trace of requests");
  auto* const trace = command->add_option("--trace", policy.trace, "CSV: time_s,user,objects");
  auto* const sizes = command->add_option("--sizes", policy.sizes, "CSV: id,bytes,load_s");
  trace->needs(sizes);
  command->add_option("--generate", policy.generate, "real-like, swap, scan or loop")
      ->capture_default_str()
      ->excludes(trace);
  command->add_option("--capacity", policy.capacities, "sizes of the RAM")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--warmup", policy.warmup, "share of the requests that is not counted")
      ->capture_default_str();
  command->add_option("--seed", policy.seed, "of the generated trace")->capture_default_str();
  command->add_option("--ratio", policy.codec.ratio, "of the compressed strategies")
      ->capture_default_str();
  command->add_option("--decode", policy.codec.decode_gb_s, "their speed, in GB/s")
      ->capture_default_str();
  command->add_option("--encode", policy.codec.encode_gb_s, "the same, all processors together")
      ->capture_default_str();
  bool json = true;
  command->add_flag("--json", json, "accepted; the output is always JSON");
  Example(command, "warmset-bench policy --trace T.csv --sizes S.csv --capacity 24GB,48GB");
  command->callback([&] { action = [&] { return RunPolicy(policy); }; });

  CacheOptions cache;
  command = app.add_subcommand("cache", "Access to cached models, and strategies under Zipf");
  command->add_option("--dir", cache.folder, "folder for the files")->capture_default_str();
  command->add_option("--models", cache.models, "that are requested")->capture_default_str();
  command->add_option("--mib", cache.mib, "size of each")->capture_default_str();
  command->add_option("--ram-limit", cache.ram_limit, "of the daemon")->capture_default_str();
  command->add_option("--requests", cache.requests, "for each strategy and skew")
      ->capture_default_str();
  command->add_option("--skews", cache.skews, "exponents of Zipf")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--rounds", cache.rounds, "single accesses")->capture_default_str();
  Example(command, "warmset-bench cache --dir /mnt/models --skews 0.8,1.2");
  command->callback([&] { action = [&] { return RunCache(cache); }; });

  InspectOptions inspect;
  command = app.add_subcommand("inspect", "Headers: a long one, a large file's, 20,000 small ones");
  command->add_option("--dir", inspect.folder, "folder for the files")->capture_default_str();
  command->add_option("--tensors", inspect.tensors, "of the long header")->capture_default_str();
  command->add_option("--files", inspect.files, "small files")->capture_default_str();
  command->add_option("--rounds", inspect.rounds, "of each step")->capture_default_str();
  Example(command, "warmset-bench inspect --dir /mnt/models");
  command->callback([&] { action = [&] { return RunInspect(inspect); }; });

  IdentifyOptions identify;
  command = app.add_subcommand("identify", "What models are, from headers that were read");
  command->add_option("--headers", identify.headers, "of three kinds")->capture_default_str();
  command->add_option("--tensors", identify.tensors, "of each header")->capture_default_str();
  command->add_option("--threads", identify.threads, "that share them")->capture_default_str();
  command->add_option("--rounds", identify.rounds, "of all headers")->capture_default_str();
  Example(command, "warmset-bench identify --tensors 2000");
  command->callback([&] { action = [&] { return RunIdentify(identify); }; });

  IdentifyCasesOptions cases;
  command = app.add_subcommand("identify-cases", "What models of a file of cases are");
  command->add_option("file", cases.file, "as scripts/measure-identification.py writes it")->required();
  Example(command, "warmset-bench identify-cases cases.tsv");
  command->callback([&] { action = [&] { return RunIdentifyCases(cases); }; });

  std::string child_file;
  command = app.add_subcommand("inspect-child", "")->group("");
  command->add_option("file", child_file)->required();
  command->callback([&] { action = [&] { return RunInspectChild(child_file); }; });

  std::string child_model;
  uint64_t child_step = 0;
  command = app.add_subcommand("attach-child", "")->group("");
  command->add_option("model", child_model)->required();
  command->add_option("step", child_step)->required();
  command->callback([&] { action = [&] { return RunAttachChild(child_model, child_step); }; });

  CLI11_PARSE(app, argc, argv);
  if (const Status status = action(); !status.ok()) {
    fmt::print(stderr, "warmset-bench: {}: {}\n", ErrorCodeName(CodeOf(status)), Message(status));
    return 1;
  }
  return 0;
}
