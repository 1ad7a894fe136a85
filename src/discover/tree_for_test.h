// Folders with models, made for one test.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "inspect/test_safetensors.h"

namespace warmset {

// One entry of a tree: a file with that content, a symlink, or an empty folder.
struct TreeEntry {
  std::string path;  // relative to the tree; of a folder with '/' at its end
  std::string content = {};
  std::string link_to = {};
};

// A temporary folder, removed at the end of its life.
class TreeForTest {
 public:
  TreeForTest() {
    std::string pattern = testing::TempDir() + "tree_XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = std::filesystem::canonical(pattern).string();
  }
  ~TreeForTest() { std::filesystem::remove_all(path_); }
  TreeForTest(const TreeForTest&) = delete;
  TreeForTest& operator=(const TreeForTest&) = delete;

  const std::string& path() const { return path_; }

  void Add(const std::vector<TreeEntry>& entries) {
    for (const TreeEntry& entry : entries) AddEntry(entry);
  }
  void AddFile(const std::string& path, const std::string& content) {
    AddEntry({.path = path, .content = content});
  }
  void AddLink(const std::string& path, const std::string& target) {
    AddEntry({.path = path, .link_to = target});
  }

 private:
  void AddEntry(const TreeEntry& entry) {
    namespace fs = std::filesystem;
    const fs::path full = path_ + "/" + entry.path;
    fs::create_directories(full.parent_path());
    if (!entry.link_to.empty()) {
      fs::create_symlink(entry.link_to, full);
    } else if (!entry.path.ends_with('/')) {
      WriteTestFile(full.string(), entry.content);
    }
  }
  std::string path_;
};

}  // namespace warmset
