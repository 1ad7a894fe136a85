// The hashes by which content-named stores call their files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace warmset {

// Hashes one file's content from its start to its end, as a claim is written:
// "sha256:<64 hex>", or "git-sha1:<40 hex>", which git takes over "blob <size>\0" and
// the content. Movable; one thread at a time.
class ContentHasher {
 public:
  // In the algorithm of the claim. kInvalidRequest for a claim of no known form.
  static StatusOr<ContentHasher> Create(std::string_view claim, uint64_t file_bytes);
  ContentHasher(ContentHasher&&) noexcept;
  ContentHasher& operator=(ContentHasher&&) noexcept;
  ~ContentHasher();

  void Update(std::span<const std::byte> bytes);
  // Call once, when file_bytes were given.
  std::string Finish();

 private:
  struct Context;  // of libcrypto
  ContentHasher(std::unique_ptr<Context> context, std::string_view prefix);

  std::unique_ptr<Context> context_;
  std::string prefix_;  // "sha256:"
};

// True for a claim that ContentHasher can check.
bool IsCheckableClaim(std::string_view claim);

}  // namespace warmset
