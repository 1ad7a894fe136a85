// Attaches a model, lists its tensors and reads one byte of each.
//
//   attach MODEL [COMPONENT]
#include <cstdio>
#include <string>
#include <string_view>

#include "warmset/client.h"

namespace {

int Fail(const warmset::ClientError& error) {
  std::fprintf(stderr, "%s: %s\n", error.code.c_str(), error.message.c_str());
  for (const std::string& candidate : error.candidates) {
    std::fprintf(stderr, "  did you mean %s?\n", candidate.c_str());
  }
  return 1;
}

void Warn(std::string_view message) {
  std::fprintf(stderr, "warning: %s\n", std::string(message).c_str());
}

void Print(const warmset::Tensor& tensor) {
  std::string shape;
  for (const uint64_t dim : tensor.shape()) {
    shape += (shape.empty() ? "" : ", ") + std::to_string(dim);
  }
  const std::string name(tensor.name());
  const std::string dtype(warmset::DTypeName(tensor.dtype()));
  const unsigned first = tensor.data().empty() ? 0 : std::to_integer<unsigned>(tensor.data()[0]);
  std::printf("  %-60s %-5s [%s] %02x\n", name.c_str(), dtype.c_str(), shape.c_str(), first);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: attach MODEL [COMPONENT]\n");
    return 2;
  }
  auto client = warmset::Client::Connect({.warning = Warn});
  if (!client) return Fail(client.error());
  const auto model = client->Attach(argv[1], {.component = argc > 2 ? argv[2] : ""});
  if (!model) return Fail(model.error());
  for (const warmset::Component& component : model->components()) {
    const std::string name(component.name());
    std::printf("%s: %zu tensors, %llu bytes\n", name.c_str(), component.tensor_count(),
                static_cast<unsigned long long>(component.bytes()));
    for (size_t i = 0; i < component.tensor_count(); ++i) Print(component.tensor(i));
  }
  return 0;
}
