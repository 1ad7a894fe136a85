// A file that calls itself a zip archive.
#include "base/strong.h"
#include "fuzz/fuzzer.h"
#include "inspect/zip/test_zip.h"
#include "inspect/zip/zip_content.h"
#include "inspect/zip/zip_directory.h"

using namespace warmset;

std::vector<std::string> Seeds() {
  const std::vector<TestZipEntry> entries = {
      {.name = "a/data.pkl", .content = "one"},
      {.name = "a/data/0", .content = std::string(100, 'x'), .deflate = true}};
  return {TestZip(entries), TestZip(entries, {.zip64 = true}), TestZip({})};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  MemorySource source(Bytes(data, size));
  const auto directory = ReadZipDirectory(source);
  Promise(directory.ok(), "memory can always be read");
  for (const ZipEntry& entry : directory->entries) {
    Promise(entry.data_offset <= size && entry.stored_bytes <= size - entry.data_offset,
            "an entry's data lies in the file");
    const auto content = ZipContent::Open(source, entry);
    if (!content.ok()) continue;
    Promise(content->file_offset().has_value() == (entry.method == kZipStored),
            "only stored entries have a place");
  }
  return 0;
}
