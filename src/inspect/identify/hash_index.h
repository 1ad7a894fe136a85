// Values by 64-bit hashes: filled once, then only read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace warmset {

// Value is comparable. Const methods are thread-safe.
template <typename Value>
class HashIndex {
 public:
  struct Entry {
    uint64_t hash;
    Value value;
    friend auto operator<=>(const Entry&, const Entry&) = default;
  };

  void Add(uint64_t hash, const Value& value) { entries_.push_back({hash, value}); }

  // Makes Find() work; to be called after the last Add(). Of values of a hash that are the
  // same(a, b) the first one stays, in their order.
  template <typename Same>
  void Sort(Same&& same) {
    std::vector<uint32_t> ends = Begins();
    begins_ = ends;
    std::vector<Entry> sorted(entries_.size());
    for (const Entry& each : entries_) sorted[ends[BucketOf(each.hash)]++] = each;
    entries_ = std::move(sorted);
    for (size_t i = 0; i < kBuckets; ++i) {
      std::sort(entries_.begin() + begins_[i], entries_.begin() + begins_[i + 1]);
    }
    const auto end = std::unique(
        entries_.begin(), entries_.end(),
        [&](const Entry& a, const Entry& b) { return a.hash == b.hash && same(a.value, b.value); });
    entries_.erase(end, entries_.end());
    begins_ = Begins();
  }

  std::span<Entry> Find(uint64_t hash) { return Find(entries_, hash); }
  std::span<const Entry> Find(uint64_t hash) const { return Find(entries_, hash); }
  std::span<Entry> entries() { return entries_; }

 private:
  static constexpr int kBits = 16;
  static constexpr size_t kBuckets = size_t{1} << kBits;
  static size_t BucketOf(uint64_t hash) { return hash >> (64 - kBits); }

  // Where each bucket's entries begin once they are in order, and where the last ones end.
  std::vector<uint32_t> Begins() const {
    std::vector<uint32_t> begins(kBuckets + 1);
    for (const Entry& each : entries_) ++begins[BucketOf(each.hash) + 1];
    for (size_t i = 1; i < begins.size(); ++i) begins[i] += begins[i - 1];
    return begins;
  }

  template <typename Entries>
  auto Find(Entries& entries, uint64_t hash) const {
    const size_t bucket = BucketOf(hash);
    const auto begin = entries.begin() + begins_[bucket];
    const auto end = entries.begin() + begins_[bucket + 1];
    const auto first = std::find_if(begin, end, [&](const Entry& e) { return e.hash >= hash; });
    const auto last = std::find_if(first, end, [&](const Entry& e) { return e.hash != hash; });
    return std::span(first, last);
  }

  std::vector<Entry> entries_;
  std::vector<uint32_t> begins_;  // of buckets, by the first bits of hashes
};

}  // namespace warmset
