#include "inspect/zip/zip_directory.h"

#include "base/digest.h"
#include "base/strong.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/zip/test_zip.h"
#include "inspect/zip/zip_content.h"

namespace warmset {
namespace {

using testing::HasSubstr;

ZipDirectory Directory(const std::string& file) {
  MemorySource source(AsBytes(file));
  auto directory = ReadZipDirectory(source);
  EXPECT_TRUE(directory.ok()) << directory.status();
  return *std::move(directory);
}

std::string ContentOf(const std::string& file, const ZipEntry& entry, Status& problem) {
  MemorySource source(AsBytes(file));
  auto content = ZipContent::Open(source, entry);
  EXPECT_TRUE(content.ok()) << content.status();
  problem = content->problem();
  return *ReadText(content->source(), 0, content->source().size());
}

TEST(ZipDirectoryTest, EntriesWithTheirContent) {
  const std::string long_text(10'000, 'x');
  for (const bool zip64 : {false, true}) {
    const std::string file =
        TestZip({{.name = "a/one", .content = "1"}, {.name = "a/two", .content = long_text, .deflate = true}},
                {.zip64 = zip64});
    const ZipDirectory directory = Directory(file);
    EXPECT_TRUE(directory.problems.empty()) << directory.problems[0];
    ASSERT_EQ(directory.entries.size(), 2u);
    EXPECT_EQ(directory.entries[0].name, "a/one");
    EXPECT_EQ(directory.entries[0].data_offset, 35u);
    EXPECT_EQ(directory.entries[0].bytes, 1u);
    Status problem;
    EXPECT_EQ(ContentOf(file, directory.entries[0], problem), "1");
    EXPECT_TRUE(problem.ok());
    EXPECT_EQ(ContentOf(file, directory.entries[1], problem), long_text);
    EXPECT_TRUE(problem.ok());
  }
}

TEST(ZipDirectoryTest, NumbersOfTheZip64RecordCount) {
  ByteWriter extra;
  extra.Write(uint16_t{1});
  extra.Write(uint16_t{16});
  extra.Write(uint64_t{3});
  extra.Write(uint64_t{3});
  const ZipDirectory directory = Directory(TestZip({{.name = "n",
                                                     .content = "abc",
                                                     .bytes = UINT32_MAX,
                                                     .stored_bytes = UINT32_MAX,
                                                     .extra = extra.data()}}));
  ASSERT_EQ(directory.entries.size(), 1u);
  EXPECT_EQ(directory.entries[0].bytes, 3u);
}

TEST(ZipDirectoryTest, SizesMayFollowTheData) {
  const ZipDirectory directory = Directory(
      TestZip({{.name = "n", .content = "abc", .flags = 8, .local_flags = 8, .local_crc = 0}}));
  EXPECT_TRUE(directory.problems.empty());
}

struct Broken {
  std::string_view name;
  std::string file;
  std::string_view message;
  size_t entries;  // that are listed all the same
  ErrorCode code = ErrorCode::kCorruptedModel;
};

class BrokenZip : public testing::TestWithParam<Broken> {};

TEST_P(BrokenZip, IsReported) {
  const ZipDirectory directory = Directory(GetParam().file);
  ASSERT_FALSE(directory.problems.empty());
  EXPECT_THAT(std::string(Message(directory.problems[0])),
              HasSubstr(std::string(GetParam().message)));
  EXPECT_EQ(CodeOf(directory.problems[0]), GetParam().code);
  EXPECT_EQ(directory.entries.size(), GetParam().entries);
}

std::vector<Broken> BrokenZips() {
  const TestZipEntry one{.name = "a/one", .content = "1"};
  const TestZipEntry two{.name = "a/two", .content = "22"};
  const auto with = [&](auto change) {
    TestZipEntry changed = one;
    change(changed);
    return TestZip({changed, two});
  };
  using Entry = TestZipEntry;
  ByteWriter lie;
  lie.Write(uint16_t{1});
  lie.Write(uint16_t{8});
  lie.Write(uint64_t{1} << 60);
  ByteWriter short_extra;
  short_extra.Write(uint16_t{1});
  short_extra.Write(uint16_t{2});
  short_extra.Write(uint16_t{0});
  return {
      {"four_bytes", std::string(kZipMagic), "no end record", 0, ErrorCode::kIncompleteModel},
      {"empty", "", "it is empty", 0, ErrorCode::kIncompleteModel},
      {"cut_off", TestZip({one, two}, {.without_end = true}), "no end record", 2,
       ErrorCode::kIncompleteModel},
      {"name_differs", with([](Entry& e) { e.local_name = "a/0ne"; }), "differ in the name", 2},
      {"name_differs_in_length", with([](Entry& e) { e.local_name = "a/onee"; }), "the name", 2},
      {"local_flag_encrypted", with([](Entry& e) { e.local_flags = 0x1; }), "0x1", 2},
      {"flag_encrypted", with([](Entry& e) { e.flags = 0x1; }), "0x1", 2},
      {"local_flag_patched", with([](Entry& e) { e.local_flags = 0x20; }), "0x20", 2},
      {"local_flag_strong", with([](Entry& e) { e.local_flags = 0x40; }), "0x40", 2},
      {"local_crc_differs", with([](Entry& e) { e.local_crc = 1; }), "the checksum", 2},
      {"size_differs", with([](Entry& e) { e.stored_bytes = 0; e.bytes = 0; }), "the size", 2},
      {"beyond_the_file",
       with([](Entry& e) { e.stored_bytes = e.bytes = 0x7fffffff; e.local_flags = 8; }),
       "outside of the file", 2},
      {"header_beyond_the_file", with([](Entry& e) { e.header_offset = 0x7fffffff; }),
       "bytes are expected", 1},
      {"no_header", with([](Entry& e) { e.header_offset = 7; }), "no header", 1},
      {"zip64_beyond_the_file",
       with([&](Entry& e) { e.stored_bytes = UINT32_MAX; e.extra = lie.data(); e.local_flags = 8; }),
       "is stored in", 2},
      {"zip64_extra_short",
       with([&](Entry& e) { e.stored_bytes = UINT32_MAX; e.extra = short_extra.data(); }),
       "zip64 record is damaged", 1},
      {"zip64_extra_missing", with([](Entry& e) { e.bytes = UINT32_MAX; }),
       "zip64 record is damaged", 1},
      {"zip64_count_differs", TestZip({one, two}, {.zip64 = true, .zip64_entries = 1}),
       "contradict", 2},
      {"zip64_record_elsewhere", TestZip({one}, {.zip64 = true, .zip64_record_at = 3}),
       "no zip64 record", 1},
      {"zip64_record_beyond", TestZip({one}, {.zip64 = true, .zip64_record_at = UINT64_MAX}),
       "said to lie", 1},
      {"twice", TestZip({one, one}), "two entries 'a/one'", 2},
      {"overlap", TestZip({one, {.name = "a/two", .content = "22", .header_offset = 0}}),
       "differ in the name", 2},
      {"prefix", TestZip({one}, {.prefix = "#!/bin/sh\n"}), "before the archive's first entry", 1},
      {"shifted", TestZip({one}, {.directory_offset = 3}), "between", 1},
      {"hidden_before_directory", TestZip({one}, {.directory_offset = 0}), "between", 1},
      {"tail", TestZip({one}, {.tail = "hello"}), "follow the archive's end record", 1},
      {"more_than_said", TestZip({one, two}, {.entries = 1}), "more than its 1 entries", 2},
      {"fewer_than_said", TestZip({one, two}, {.entries = 3}), "too few", 2},
      {"far_fewer_than_said", TestZip({one}, {.entries = 999}), "too few", 1},
      {"no_name", with([](Entry& e) { e.name = ""; }), "no usable name", 2},
      {"nul_in_name", with([](Entry& e) { e.name = std::string("a\0b", 3); }), "no usable name", 2},
      {"leads_out", TestZip({{.name = "../x", .content = ""}}), "outside of its folder", 1,
       ErrorCode::kUnsafeModel},
      {"leads_out_inside", TestZip({{.name = "a/../../x", .content = ""}}),
       "outside of its folder", 1, ErrorCode::kUnsafeModel},
      {"leads_out_backslash", TestZip({{.name = "a\\..\\x", .content = ""}}),
       "outside of its folder", 1, ErrorCode::kUnsafeModel},
      {"absolute", TestZip({{.name = "/etc/passwd", .content = ""}}), "outside of its folder", 1,
       ErrorCode::kUnsafeModel},
      {"drive", TestZip({{.name = "C:x", .content = ""}}), "outside of its folder", 1,
       ErrorCode::kUnsafeModel},
  };
}

INSTANTIATE_TEST_SUITE_P(, BrokenZip, testing::ValuesIn(BrokenZips()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(ZipDirectoryTest, DotsInNamesLeadNowhere) {
  EXPECT_TRUE(Directory(TestZip({{.name = "a/..b/.c/d...", .content = ""}})).problems.empty());
}

TEST(ZipDirectoryTest, EntriesThatShareBytesAreReported) {
  const std::string inner = TestZip({{.name = "x", .content = "payload"}}, {.without_end = true});
  // The second entry lies within the first's data.
  const std::string file =
      TestZip({{.name = "a", .content = inner}, {.name = "x", .content = "payload", .header_offset = 31}});
  const ZipDirectory directory = Directory(file);
  ASSERT_FALSE(directory.problems.empty());
  EXPECT_THAT(std::string(Message(directory.problems[0])), HasSubstr("overlaps"));
}

TEST(ZipDirectoryTest, AnArchiveCutOffAtAnyByteIsReported) {
  const std::string file = TestZip({{.name = "a/one", .content = "1"}}, {.zip64 = true});
  ASSERT_TRUE(Directory(file).problems.empty());
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(Directory(file.substr(0, size)).problems.empty()) << size;
  }
}

TEST(ZipContentTest, ABadChecksumIsAProblemAndTheContentIsThere) {
  const std::string file = TestZip({{.name = "n", .content = "abc", .crc = 1}});
  Status problem;
  EXPECT_EQ(ContentOf(file, Directory(file).entries[0], problem), "abc");
  EXPECT_EQ(CodeOf(problem), ErrorCode::kCorruptedModel);
  EXPECT_THAT(std::string(Message(problem)), HasSubstr("checksum"));
}

TEST(ZipContentTest, ABombIsNotUnpacked) {
  const std::string file =
      TestZip({{.name = "n", .content = std::string(8 * kMiB, '\0'), .deflate = true}});
  ASSERT_LT(file.size(), 64 * kKiB);
  Status problem;
  EXPECT_LT(ContentOf(file, Directory(file).entries[0], problem).size(), 3 * kMiB);
  EXPECT_EQ(CodeOf(problem), ErrorCode::kCorruptedModel);
  EXPECT_THAT(std::string(Message(problem)), HasSubstr("unpacks to more"));
}

TEST(ZipContentTest, ABrokenStreamKeepsWhatCameBefore) {
  std::string file = TestZip({{.name = "n", .content = std::string(100, 'a') + "tail", .deflate = true}});
  ZipEntry entry = Directory(file).entries[0];
  entry.stored_bytes -= 4;
  Status problem;
  EXPECT_THAT(ContentOf(file, entry, problem), HasSubstr("aaaa"));
  EXPECT_EQ(CodeOf(problem), ErrorCode::kCorruptedModel);
  entry.bytes += 1;
  entry.stored_bytes += 4;
  (void)ContentOf(file, entry, problem);
  EXPECT_THAT(std::string(Message(problem)), HasSubstr("said to have"));
}

TEST(ZipContentTest, OtherMethodsAreUnsupported) {
  const std::string file = TestZip({{.name = "n", .content = "abc", .method = 12}});
  MemorySource source(AsBytes(file));
  EXPECT_EQ(CodeOf(ZipContent::Open(source, Directory(file).entries[0]).status()),
            ErrorCode::kUnsupportedFormat);
}

}  // namespace
}  // namespace warmset
