#include "cache/claim/content_hasher.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <utility>

#include "fmt/format.h"

namespace warmset {
namespace {

struct Algorithm {
  std::string_view prefix;
  size_t digits;
  const EVP_MD* (*digest)();
  bool git;  // hashes a header before the content
};
constexpr std::array<Algorithm, 2> kAlgorithms = {{
    {"sha256:", 64, EVP_sha256, false},
    {"git-sha1:", 40, EVP_sha1, true},
}};

bool IsLowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

const Algorithm* AlgorithmOf(std::string_view claim) {
  for (const Algorithm& algorithm : kAlgorithms) {
    if (!claim.starts_with(algorithm.prefix)) continue;
    const std::string_view digits = claim.substr(algorithm.prefix.size());
    if (digits.size() == algorithm.digits && IsLowerHex(digits)) return &algorithm;
  }
  return nullptr;
}

}  // namespace

struct ContentHasher::Context {
  EVP_MD_CTX* const md = EVP_MD_CTX_new();
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_MD_CTX_free(md); }
};

ContentHasher::ContentHasher(std::unique_ptr<Context> context, std::string_view prefix)
    : context_(std::move(context)), prefix_(prefix) {}
ContentHasher::ContentHasher(ContentHasher&&) noexcept = default;
ContentHasher& ContentHasher::operator=(ContentHasher&&) noexcept = default;
ContentHasher::~ContentHasher() = default;

StatusOr<ContentHasher> ContentHasher::Create(std::string_view claim, uint64_t file_bytes) {
  const Algorithm* algorithm = AlgorithmOf(claim);
  if (algorithm == nullptr) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("'{}' is no hash that can be checked", claim));
  }
  auto context = std::make_unique<Context>();
  if (context->md == nullptr || EVP_DigestInit_ex(context->md, algorithm->digest(), nullptr) != 1) {
    return Error(ErrorCode::kInternal, fmt::format("libcrypto has no {}", algorithm->prefix));
  }
  ContentHasher hasher(std::move(context), algorithm->prefix);
  if (algorithm->git) {
    const std::string header = fmt::format("blob {}", file_bytes);
    hasher.Update(std::as_bytes(std::span(header.c_str(), header.size() + 1)));  // with its NUL
  }
  return hasher;
}

void ContentHasher::Update(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(context_->md, bytes.data(), bytes.size());
}

std::string ContentHasher::Finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_DigestFinal_ex(context_->md, digest.data(), &size);
  std::string text = prefix_;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

bool IsCheckableClaim(std::string_view claim) { return AlgorithmOf(claim) != nullptr; }

}  // namespace warmset
