// Writes the seeds into the corpus folder (the first argument that is no flag)
// before libFuzzer reads it.
#include <filesystem>
#include <fstream>

#include "fuzz/fuzzer.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  for (int i = 1; i < *argc; ++i) {
    const std::filesystem::path folder = (*argv)[i];
    if (folder.string().starts_with('-')) continue;
    if (!std::filesystem::is_directory(folder)) break;
    int number = 0;
    for (const std::string& seed : Seeds()) {
      std::ofstream(folder / ("seed-" + std::to_string(number++)), std::ios::binary) << seed;
    }
    break;
  }
  return 0;
}
