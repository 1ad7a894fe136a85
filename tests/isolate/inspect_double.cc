// A test double of warmset-inspect: what it does with a model is what the name of
// the model's first file says, as a reader would that a file has taken over.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>

#include "inspect/manifest.h"
#include "isolate/helper_program.h"

namespace warmset {
namespace {

StatusOr<std::string> Lie(const ModelFiles& model, void (*falsify)(Manifest&),
                          FileProvider& files) {
  ASSIGN_OR_RETURN(const std::string honest, InspectModel(model, files));
  ASSIGN_OR_RETURN(Manifest manifest, DecodeManifest(honest));
  falsify(manifest);
  return EncodeManifest(manifest);
}

StatusOr<std::string> Misbehave(const ModelFiles& model, FileProvider& files) {
  const std::string name = model.files.empty() ? "" : model.files.front().path;
  if (name == "crash") ::raise(SIGSEGV);
  if (name == "abort") ::abort();
  if (name == "exit") ::_exit(3);
  if (name == "hang") {
    volatile bool forever = true;
    while (forever) {
    }
  }
  if (name == "socket") ::socket(AF_INET, SOCK_STREAM, 0);
  if (name == "exec") ::execl("/bin/true", "true", nullptr);
  if (name == "open") {
    return Error(::open("/etc/hostname", O_RDONLY) < 0 ? ErrorCode::kPermissionDenied
                                                       : ErrorCode::kInternal,
                 "what came of opening a file");
  }
  if (name == "memory") {
    std::map<int, std::string> taken;
    for (int i = 0;; ++i) taken[i].assign(size_t{1} << 20, 'x');
  }
  if (name == "ask-for-all") {
    auto file = files.Open("../../etc/passwd");
    if (file.ok()) return Error(ErrorCode::kInternal, "it was given a file that is none of its");
    return file.status();
  }
  if (name == "no-manifest") return std::string("not a manifest");
  if (name == "other-file") {
    return Lie(model, [](Manifest& m) { m.files.front().identity.inode ^= 1; }, files);
  }
  if (name == "other-hash") {
    return Lie(model, [](Manifest& m) { m.files.front().claimed_hash = "sha256:0"; }, files);
  }
  if (name == "more-files") {
    return Lie(model, [](Manifest& m) { m.files.push_back({"/etc/passwd", {}, ""}); }, files);
  }
  if (name == "other-layout") {
    return Lie(model, [](Manifest& m) { m.layout = ModelLayout::kSharded; }, files);
  }
  if (name == "other-component") {
    return Lie(model, [](Manifest& m) { m.components.front().id.bytes[0] ^= std::byte{1}; }, files);
  }
  return InspectModel(model, files);
}

}  // namespace
}  // namespace warmset

int main(int, char** argv) {
  return warmset::RunHelper(std::strtoull(argv[1], nullptr, 10), warmset::Misbehave);
}
