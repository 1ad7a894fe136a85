// Warmset's client: attaches models that the daemon keeps warm.
//
//   auto client = warmset::Client::Connect();
//   if (!client) return Fail(client.error());
//   auto model = client->Attach("sdxl", {.component = "unet"});
//   if (!model) return Fail(model.error());
//   auto weight = model->tensor("conv_in.weight");
//
// The library depends on the C++20 standard library and Linux alone, starts no
// threads and installs no signal handlers; nothing it does throws (short of
// std::bad_alloc).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "warmset/model.h"
#include "warmset/result.h"

namespace warmset::inline client_v1 {

namespace client_internal {
struct AttachRequest;
}

// How far a long request is. `done` and `total` count bytes or files, as `unit`
// says; total is 0 while it is unknown.
struct Progress {
  std::string stage;
  uint64_t done = 0;
  uint64_t total = 0;
  std::string unit;
  std::string item;
};
// Called on the thread that waits for the request; must not throw or call the
// Client.
using ProgressFunction = std::function<void(const Progress&)>;

// Gets one warning: a sentence for the user about a request that was answered all
// the same, such as that the model's files could not be looked at, or that their
// claimed hash is not yet computed. Called as a ProgressFunction is, before the
// request returns.
using WarningFunction = std::function<void(std::string_view message)>;

struct ConnectOptions {
  // Empty: $WARMSET_SOCKET, else $XDG_RUNTIME_DIR/warmset/warmset.sock, else
  // /tmp/warmset-$UID/warmset.sock.
  std::string socket_path = {};
  // How the daemon's log calls this program.
  std::string client_name = "warmset-cpp";
  // How long the daemon may take to answer: "timeout" after that, and the session
  // is closed. Zero: for ever.
  std::chrono::milliseconds timeout{10'000};
  // The same for Attach(), AttachFile() and Cache(), which may read from disk for
  // long: here it is the time without a sign of progress.
  std::chrono::milliseconds silence{60'000};
  // Empty: warnings are dropped. What a forked child leases again warns no second time.
  WarningFunction warning = {};
};

struct AttachOptions {
  // Empty: all components.
  std::string component = {};
  // Empty: from RAM, read from disk first if need be. "host:0": the placement
  // on that device, which `warmset load` made.
  std::string device = {};
  // Only these, of one component. Of what is in RAM compressed nothing else is
  // decoded. Empty: all.
  std::vector<std::string> tensors = {};
  // Copy-on-write memory; false maps it read-only, and writing to it is a fault.
  bool writable = true;
  // Called from within Attach() while it reads from disk.
  ProgressFunction progress = {};
};

enum class CacheState { kUnknown, kUncached, kCaching, kCached, kPartlyCached, kError };

// What the daemon knows of one model.
struct ModelState {
  struct Placement {
    std::string device;
    uint64_t bytes = 0;
  };

  std::string name;
  std::string id;  // 32 hexadecimal digits
  uint64_t bytes = 0;
  std::string format;
  std::string layout;        // "file", "sharded", "transformers", "diffusers", "ollama"
  std::string kind;          // what it is: "checkpoint", "lora", "llm", ...
  std::string architecture;  // "sdxl", "llama", ...; empty: not known
  std::string verdict;       // "ok", or why it can't be used: "unsafe", "corrupt", ...
  // Whether its files are what their names claim: "verified", "unchecked" or "mismatch";
  // empty: no name claims anything.
  std::string claim;
  CacheState cache_state = CacheState::kUnknown;
  uint64_t cached_bytes = 0;  // what of it is in RAM, in any form, as bytes on disk
  uint64_t raw_bytes = 0;     // what it takes in RAM in each form
  uint64_t compressed_bytes = 0;
  std::string strategy;  // "speed", "memory", "balanced" or "adaptive"
  std::vector<Placement> devices;
  uint32_t leases = 0;
  int64_t last_used_unix_ms = 0;  // 0: never
  std::string error_code;         // of the last failed cache or load, else empty
};

// One session with the daemon. Names are a model's name, or a unique prefix of
// its name or id. Every call blocks until the daemon has answered.
//
// Thread-safety: one thread at a time; a program with many threads gives each
// its own Client or locks. Handles that came from it are free of that rule.
//
// The daemon may go and come back: a call that meets its end fails with
// "daemon_unavailable", one that waits too long with "timeout", and the next one
// connects anew. Models attached before keep their memory.
//
// Fork: a child may go on using everything it inherited. At its first call it
// opens a session of its own, which takes its own lease on what it inherited;
// nothing the child does or destroys ends the parent's session or leases.
class Client {
 public:
  // "daemon_unavailable" when no daemon listens, "version_mismatch" when it
  // speaks another major version of the protocol, "timeout" when it does not answer.
  static Result<Client> Connect(ConnectOptions options = {});

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  // Leases that are still held by models and tensors stay until these are gone.
  ~Client();

  // For a model whose verdict is not "ok" the code of the verdict ("incomplete_model"),
  // unless `warmset cache --force` brought it into RAM; they may name others that
  // serve instead as candidates.
  Result<Model> Attach(std::string_view name, const AttachOptions& options = {});
  // A model file that need not be known to the daemon, nor readable by it: this
  // program opens it and passes the descriptor.
  Result<Model> AttachFile(const std::string& path, const AttachOptions& options = {});

  Result<ModelState> State(std::string_view name);
  // In one round trip; results are in the order of the names.
  Result<std::vector<Result<ModelState>>> States(std::span<const std::string> names);
  // Models whose name contains filter; all with an empty one.
  Result<std::vector<ModelState>> Models(std::string_view filter = {});

  // Reads a model into RAM. Returns when it is there.
  Result<ModelState> Cache(std::string_view name, const ProgressFunction& progress = nullptr);

  // Has a model read into RAM behind what others wait for: returns at once, with the
  // state before. A later Attach() or Cache() joins the read.
  Result<ModelState> Preload(std::string_view name);

  // Ends the session and with it every lease. What is mapped stays valid. A
  // later call connects anew.
  void Close();

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  Result<Model> AttachAs(const client_internal::AttachRequest& request, std::span<const int> fds,
                         const AttachOptions& options);

  std::unique_ptr<Impl> impl_;
};

}  // namespace warmset::inline client_v1
