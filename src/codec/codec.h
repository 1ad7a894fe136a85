// Lossless compression of tensors held in RAM.
//
// Every codec writes the same container (stream_format.h,
// docs/formats/layered-bit-planes.md): a header, a table of independent blocks
// with a checksum each, the blocks, 64 bytes of padding. What a block holds is
// the codec's own. All codecs pass one conformance suite (codec_test.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/status.h"
#include "codec/stream_format.h"
#include "tensor/dtype.h"

namespace warmset::codec {

struct EncodeOptions {
  // Elements of a block: a power of two from kMinBlockElements to
  // kMaxBlockElements. Smaller blocks give finer random access.
  uint32_t block_elements = kMaxBlockElements;
  unsigned threads = 1;
};

enum class Stores {
  kAuto,         // kNonTemporal from 4 MiB of output on
  kCached,       // the output is read soon, a staging buffer for example
  kNonTemporal,  // around the caches
};

struct DecodeOptions {
  unsigned threads = 1;
  // Without it a flipped bit may go unnoticed; no stream ever makes a decoder
  // leave its buffers.
  bool verify_checksums = true;
  Stores stores = Stores::kAuto;
};

// Immutable and without state, so thread-safe.
class Codec {
 public:
  virtual ~Codec() = default;

  virtual CodecKind kind() const = 0;
  virtual std::string_view name() const = 0;
  // Whether Encode accepts the dtype.
  virtual bool Supports(DType dtype) const = 0;

  // The most bytes that Encode writes for `bytes` bytes of elements.
  uint64_t EncodedBound(DType dtype, uint64_t bytes, const EncodeOptions& options = {}) const;

  // Writes a stream and returns its size. The stream depends on elements, dtype
  // and block size alone, not on the processor or the threads.
  // kInvalidRequest: a dtype that is not supported, a part of an element, an
  // invalid block size, or `stream` smaller than EncodedBound().
  StatusOr<uint64_t> Encode(std::span<const std::byte> elements, DType dtype,
                            std::span<std::byte> stream, const EncodeOptions& options = {}) const;

  // Decodes `count` blocks from block `first` on into `elements`, which has
  // exactly their size (StreamView::RangeBytes). kCorruptedModel for a stream
  // that is not whole; `elements` then holds anything, and nothing outside of
  // it was written. kInvalidRequest for a wrong range or size.
  Status DecodeBlocks(std::span<const std::byte> stream, uint64_t first, uint64_t count,
                      std::span<std::byte> elements, const DecodeOptions& options = {}) const;
  // The whole stream.
  Status Decode(std::span<const std::byte> stream, std::span<std::byte> elements,
                const DecodeOptions& options = {}) const;

 protected:
  // Buffers that one thread needs; reused from block to block.
  class Scratch {
   public:
    virtual ~Scratch() = default;
  };
  struct BlockTarget {
    std::span<std::byte> elements;
    // The block that is decoded next, worth a prefetch; may be empty.
    std::span<const std::byte> next_block;
    // Where DecodeBlock puts next_block's checksum if it made it on the way.
    std::optional<uint64_t>* next_checksum = nullptr;
    bool non_temporal = false;
  };

 private:
  virtual std::unique_ptr<Scratch> NewScratch() const = 0;
  // The most bytes of one block's payload.
  virtual uint64_t BlockBound(uint64_t bytes) const = 0;
  // Writes one block and returns its bytes.
  // REQUIRES: block has BlockBound(elements.size()) bytes.
  virtual StatusOr<uint64_t> EncodeBlock(std::span<const std::byte> elements, DType dtype,
                                         std::span<std::byte> block, Scratch& scratch) const = 0;
  // `block` may be followed by zeros. Its kStreamPadding bytes that follow are
  // readable.
  virtual Status DecodeBlock(std::span<const std::byte> block, DType dtype,
                             const BlockTarget& target, Scratch& scratch) const = 0;

  struct EncodedRun;
  Status EncodeRun(std::span<const std::byte> elements, DType dtype, uint64_t block_bytes,
                   std::span<std::byte> out, EncodedRun& run) const;
  Status DecodeRun(const StreamView& view, uint64_t first, uint64_t count,
                   std::span<std::byte> elements, const DecodeOptions& options) const;
};

// The codec of that kind; lives as long as the program.
const Codec& GetCodec(CodecKind kind);

// The codec that wrote a stream; kCorruptedModel if none did.
StatusOr<const Codec*> CodecOf(std::span<const std::byte> stream);

}  // namespace warmset::codec
