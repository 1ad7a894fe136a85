// Stands in for libFuzzer where the compiler has none: runs a fuzzer over its
// seeds and damaged copies of them, the same ones every time; or over the files
// that are named as arguments, to see a crash again.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>

#include "fuzz/fuzzer.h"

namespace {

constexpr int kDamagedCopies = 2000;
constexpr size_t kTruncations = 200;

void Run(const std::string& input) {
  // Not one byte more than the input, so that a sanitizer sees a read past it.
  const std::vector<uint8_t> exact(input.begin(), input.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

// Overwrites, cuts off or doubles some of its bytes.
std::string Damaged(std::string input, std::mt19937& random) {
  for (size_t changes = 1 + random() % 4; changes > 0 && !input.empty(); --changes) {
    const size_t at = random() % input.size();
    switch (random() % 8) {
      case 0:
        input.resize(at);
        break;
      case 1:
        input += input.substr(at);
        break;
      case 2:
        input[at] = static_cast<char>(random());
        break;
      case 3:
        input[at] = '\xFF';
        break;
      default:
        input[at] = static_cast<char>(input[at] ^ (1 << random() % 8));
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    Run({std::istreambuf_iterator<char>(file), {}});
  }
  if (argc > 1) return 0;

  const std::vector<std::string> seeds = Seeds();
  std::mt19937 random(1);  // NOLINT: the same damage every time
  for (const std::string& seed : seeds) {
    Run(seed);
    const size_t step = std::max<size_t>(1, seed.size() / kTruncations);
    for (size_t size = 0; size < seed.size(); size += step) Run(seed.substr(0, size));
    for (int i = 0; i < kDamagedCopies; ++i) Run(Damaged(seed, random));
  }
  std::printf("%zu seeds, %d damaged copies of each\n", seeds.size(), kDamagedCopies);
  return 0;
}
