#include "base/status.h"

#include <cerrno>

#include "gtest/gtest.h"

namespace warmset {
namespace {

TEST(StatusTest, CodeSurvivesNameRoundTrip) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::kInvalidConfig); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    EXPECT_EQ(ErrorCodeFromName(ErrorCodeName(code)), code) << i;
  }
}

TEST(StatusTest, UnknownNameIsInternal) {
  EXPECT_EQ(ErrorCodeFromName("from_the_future"), ErrorCode::kInternal);
}

TEST(StatusTest, AnnotateKeepsTheCode) {
  const Status status = Annotate(Error(ErrorCode::kInUse, "held by pid 7"), "uncache sdxl");
  EXPECT_EQ(CodeOf(status), ErrorCode::kInUse);
  EXPECT_EQ(Message(status), "uncache sdxl: held by pid 7");
  EXPECT_TRUE(Annotate(OkStatus(), "anything").ok());
}

TEST(StatusTest, CandidatesSurviveAnnotation) {
  const Status status =
      WithCandidates(Error(ErrorCode::kAmbiguousName, "which?"), {"sdxl-base", "sdxl-turbo"});
  EXPECT_EQ(CandidatesOf(Annotate(status, "attach")),
            (std::vector<std::string>{"sdxl-base", "sdxl-turbo"}));
  EXPECT_TRUE(CandidatesOf(OkStatus()).empty());
}

TEST(StatusTest, ErrnoMapsToStableCodes) {
  EXPECT_EQ(CodeOf(ErrnoError(ENOENT, "open x")), ErrorCode::kFileNotFound);
  EXPECT_EQ(CodeOf(ErrnoError(EIO, "read x")), ErrorCode::kIoError);
}

}  // namespace
}  // namespace warmset
