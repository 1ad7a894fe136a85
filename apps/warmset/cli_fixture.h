// Runs the program as users do, for tests.
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "fmt/format.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"

namespace warmset::cli {

namespace fs = std::filesystem;

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

inline std::string Content(const fs::path& path) {
  if (!fs::is_regular_file(path)) return "";
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class CliTest : public ::testing::Test {
 protected:
  CliTest() {
    std::string pattern = (fs::temp_directory_path() / "warmset-cli-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~CliTest() override { fs::remove_all(folder_); }

  // `variables` are more of the environment.
  Outcome Run(const std::string& arguments, const std::string& variables = "") {
    return RunCommand(fmt::format("{} {} {}", variables, WARMSET_CLI_PROGRAM, arguments));
  }

  // Runs it with a home, a socket path and a configuration of this test's own.
  Outcome RunCommand(const std::string& words) {
    const std::string command = fmt::format(
        "env -u WARMSET_CONFIG -u HF_HOME -u HF_HUB_CACHE PATH=/usr/bin:/bin HOME={0} "
        "WARMSET_HOME={0}/home WARMSET_SOCKET={0}/socket {1} >{0}/out 2>{0}/err </dev/null",
        folder_, words);
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, Content(folder_ + "/out"),
            Content(folder_ + "/err")};
  }

  std::string folder_;
};

inline google::protobuf::Struct ParseJson(const std::string& text) {
  google::protobuf::Struct document;
  const auto status = google::protobuf::util::JsonStringToMessage(text, &document);
  EXPECT_TRUE(status.ok()) << status << "\n" << text;
  return document;
}

}  // namespace warmset::cli
