// The loops of the layered codec, one implementation per instruction set.
//
// All implementations give the same results. Their callers (encode_block.cc,
// decode_block.cc) size and check every buffer; the loops themselves stay in
// bounds whatever the data is, as stated at each argument. No allocation, no
// errors, no shared inline functions: see CMakeLists.txt.
//
// A block's symbols are replaced by ranks, 0 for the most frequent one. Layer 0
// stores min(rank, 2^w - 1) of every element in w bits; elements with all bits
// set escape: layer 1 has an element for each of them, with the rest of its
// rank, and so on. What escapes from the last layer is a verbatim symbol. A
// layer is a list of 64-element words: for each, w plane words of 64 bits, the
// lowest bit's plane first. Encoding a layer compresses the escaped elements
// out of an array, decoding one expands them into it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/cpu.h"
#include "codec/layered/arrangement.h"

namespace warmset::codec {

// Elements that share a rank table, and its entries (one byte each).
inline constexpr size_t kTableElements = 4096;
inline constexpr size_t kTableGroups = kTableElements / kGroupElements;
inline constexpr size_t kTableEntries = 16;
inline constexpr unsigned kMaxLayerWidth = 4;
// What a rank may be at most: it indexes a table.
inline constexpr unsigned kMaxRank = kTableEntries - 1;
// Loads of survivors and ranks may reach this far behind the last one.
inline constexpr size_t kArrayPadding = 64;

inline constexpr size_t kChecksumLanes = 8;

// Fletcher's sums of each lane; the lanes follow one another in the data.
struct ChecksumState {
  uint64_t sum[kChecksumLanes] = {};
  uint64_t sum_of_sums[kChecksumLanes] = {};
};

struct SplitArguments {
  const uint8_t* elements = nullptr;  // groups * 64 of them
  size_t groups = 0;
  uint8_t zero_point = 0;       // integers: what counts as zero
  uint8_t* symbols = nullptr;   // groups * 64
  uint8_t* bytes = nullptr;     // the byte section: groups * group_bytes
  uint8_t* planes = nullptr;    // the plane section: groups * group_planes * 8
  uint8_t* low_bits = nullptr;  // kF16ShortMantissa: room for groups * 64 + padding
};

struct JoinArguments {
  size_t groups = 0;
  uint8_t zero_point = 0;
  uint8_t max_rank = 0;  // of an element that escaped from all layers
  // ceil(groups / kTableGroups) tables of kTableEntries symbols. Here and in
  // verbatim, a symbol has no bits above those of the arrangement.
  const uint8_t* rank_tables = nullptr;
  const uint8_t* layer = nullptr;      // layer 0: groups * width words
  const uint8_t* survivors = nullptr;  // groups * 64 + padding readable
  const uint8_t* verbatim = nullptr;
  size_t verbatim_count = 0;          // never read past it
  const uint8_t* low_bits = nullptr;  // below 8 each
  size_t low_bits_count = 0;          // never read past it
  const uint8_t* bytes = nullptr;
  const uint8_t* planes = nullptr;
  uint8_t* elements = nullptr;  // groups * 64
  bool non_temporal = false;    // REQUIRES: elements is a multiple of 64
  // What is decoded next, a multiple of 64 bytes: comes into the cache, and its
  // checksum is made meanwhile, which hides most of its cost.
  const uint8_t* next = nullptr;
  size_t next_bytes = 0;
  ChecksumState* next_checksum = nullptr;  // REQUIRED where next_bytes > 0
};

// What a block really holds; differs from what its header says if it is
// corrupt. verbatim and low_bits stop growing where the input ends.
struct JoinResult {
  size_t escapes = 0;
  size_t verbatim = 0;
  size_t low_bits = 0;
  bool overrun = false;  // verbatim symbols or low bits were missing

  friend bool operator==(const JoinResult&, const JoinResult&) = default;
};

struct Kernels {
  InstructionSet set;

  // REQUIRES: bytes is a multiple of 64.
  void (*checksum)(const uint8_t* data, size_t bytes, ChecksumState& state);

  // Divides elements; returns the number of low_bits.
  size_t (*split)(Arrangement arrangement, const SplitArguments& arguments);

  // Replaces groups * 64 symbols by rank_of[symbol] (256 entries) and appends
  // those whose rank is max_rank to `verbatim` (room for groups * 64 + padding).
  // Returns their number.
  size_t (*rank)(uint8_t* symbols, size_t groups, const uint8_t* rank_of, uint8_t max_rank,
                 uint8_t* verbatim);

  // Writes words * width plane words of `ranks` (words * 64) and leaves the
  // rest of the escaped ranks at its front. Returns their number.
  size_t (*encode_layer)(unsigned width, uint8_t* ranks, size_t words, uint8_t* planes);

  // The reverse: ranks (words * 64, written) from planes and from the ranks of
  // the next layer (words * 64 + padding readable). Returns the escapes.
  size_t (*decode_layer)(unsigned width, const uint8_t* planes, size_t words,
                         const uint8_t* survivors, uint8_t* ranks);

  // Layer 0, ranks to symbols, and symbols and other bits to elements.
  JoinResult (*join)(Arrangement arrangement, unsigned width, const JoinArguments& arguments);
};

extern const Kernels kScalarKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;

// REQUIRES: CanRun(set).
const Kernels& KernelsFor(InstructionSet set);

}  // namespace warmset::codec
