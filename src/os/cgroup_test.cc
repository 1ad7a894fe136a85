#include "os/cgroup.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "fmt/format.h"
#include "gtest/gtest.h"

namespace warmset::os {
namespace {

namespace fs = std::filesystem;

constexpr ByteCount kNoLimit{std::numeric_limits<uint64_t>::max()};
constexpr const char* kV1NoLimit = "9223372036854771712";

// Files as the kernel shows them, below a folder that stands for "/".
class CgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "cgroup_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& content) {
    fs::create_directories((root_ + path).substr(0, (root_ + path).rfind('/')));
    std::ofstream(root_ + path) << content << '\n';
  }
  void MountV2(const std::string& group = "/") {
    Write("/proc/self/mountinfo",
          fmt::format("22 1 0:20 / / rw - ext4 /dev/vda rw\n"
                      "30 22 0:26 {} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw",
                      group));
  }
  void MountV1(const std::string& group = "/") {
    Write("/proc/self/mountinfo",
          fmt::format("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
                      "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                      "35 31 0:32 {} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
                      group));
  }
  void GroupV2(const std::string& path, const std::string& max, const std::string& high,
               int current, int inactive_file = 0) {
    const std::string folder = "/sys/fs/cgroup" + path;
    Write(folder + "/memory.max", max);
    Write(folder + "/memory.high", high);
    Write(folder + "/memory.current", std::to_string(current));
    Write(folder + "/memory.stat",
          fmt::format("anon 1\ninactive_file {}\nactive_file 7", inactive_file));
  }
  void GroupV1(const std::string& path, const std::string& limit, int usage,
               const std::string& hierarchical_limit, int inactive_file = 0) {
    const std::string folder = "/sys/fs/cgroup/memory" + path;
    Write(folder + "/memory.limit_in_bytes", limit);
    Write(folder + "/memory.usage_in_bytes", std::to_string(usage));
    Write(folder + "/memory.use_hierarchy", "1");
    Write(folder + "/memory.stat",
          fmt::format("inactive_file 1\nhierarchical_memory_limit {}\ntotal_inactive_file {}",
                      hierarchical_limit, inactive_file));
  }
  uint64_t Headroom() { return CgroupHeadroom(root_).value(); }

  std::string root_;
};

TEST_F(CgroupTest, NoFilesAreNoLimit) { EXPECT_EQ(CgroupHeadroom(root_), kNoLimit); }

TEST_F(CgroupTest, V2TakesTheTighterOfMaxAndHigh) {
  MountV2();
  Write("/proc/self/cgroup", "0::/user.slice/a.service");
  GroupV2("/user.slice/a.service", "1000", "800", 300, 100);
  EXPECT_EQ(Headroom(), 600u);  // the kernel can drop inactive files
  GroupV2("/user.slice/a.service", "700", "max", 300);
  EXPECT_EQ(Headroom(), 400u);
  GroupV2("/user.slice/a.service", "max", "max", 300);
  EXPECT_EQ(CgroupHeadroom(root_), kNoLimit);
}

TEST_F(CgroupTest, V2LimitsOfTheGroupsAboveCount) {
  MountV2();
  Write("/proc/self/cgroup", "0::/pod/container");
  GroupV2("/pod/container", "1000", "max", 100);
  GroupV2("/pod", "500", "max", 450);
  EXPECT_EQ(Headroom(), 50u);
  GroupV2("/pod", "400", "max", 450);  // lowered below what is used
  EXPECT_EQ(Headroom(), 0u);
}

TEST_F(CgroupTest, V2OfAContainerIsItsMount) {
  GroupV2("", "900", "max", 200);
  MountV2("/");  // a namespace of its own
  Write("/proc/self/cgroup", "0::/");
  EXPECT_EQ(Headroom(), 700u);
  MountV2("/docker/abc");  // without one: the mount shows the container's group
  Write("/proc/self/cgroup", "0::/docker/abc");
  EXPECT_EQ(Headroom(), 700u);
  MountV2("/");  // a process that came from outside of the namespace
  Write("/proc/self/cgroup", "0::/../other");
  EXPECT_EQ(Headroom(), 700u);
}

TEST_F(CgroupTest, V1LimitIsRead) {
  MountV1();
  Write("/proc/self/cgroup", "9:name=systemd:/\n4:hugetlb,memory:/box\n0::/");
  GroupV1("", kV1NoLimit, 5000, kV1NoLimit);
  GroupV1("/box", "1000", 500, "1000", 200);
  EXPECT_EQ(Headroom(), 700u);
  GroupV1("/box", kV1NoLimit, 500, kV1NoLimit);
  EXPECT_EQ(CgroupHeadroom(root_), kNoLimit);
}

TEST_F(CgroupTest, V1LimitsOfTheGroupsAboveCountInAHierarchy) {
  MountV1();
  Write("/proc/self/cgroup", "4:memory:/pod/box");
  GroupV1("", kV1NoLimit, 5000, kV1NoLimit);
  GroupV1("/pod", "800", 700, "800");
  GroupV1("/pod/box", "1000", 300, "800");
  EXPECT_EQ(Headroom(), 100u);
  Write("/sys/fs/cgroup/memory/pod/memory.use_hierarchy", "0");
  GroupV1("/pod/box", "1000", 300, "1000");
  EXPECT_EQ(Headroom(), 700u);
}

TEST_F(CgroupTest, V1OfAContainerIsItsMount) {
  MountV1("/docker/abc");
  Write("/proc/self/cgroup", "4:memory:/docker/abc/job\n0::/");
  GroupV1("/job", kV1NoLimit, 300, "800");  // a group above the mount has the limit
  EXPECT_EQ(Headroom(), 500u);
  Write("/proc/self/cgroup", "4:memory:/elsewhere");
  GroupV1("", "600", 100, "600");
  EXPECT_EQ(Headroom(), 500u);
}

TEST_F(CgroupTest, BothVersionsBesideEachOther) {
  Write("/proc/self/mountinfo",
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/my\\040unified rw - cgroup2 cgroup2 rw");
  Write("/proc/self/cgroup", "4:memory:/box\n0::/box");
  GroupV1("/box", "1000", 100, "1000");
  EXPECT_EQ(Headroom(), 900u);  // version 2 has no memory controller here
  Write("/sys/fs/cgroup/my unified/box/memory.max", "500");
  Write("/sys/fs/cgroup/my unified/box/memory.current", "100");
  EXPECT_EQ(Headroom(), 400u);
}

TEST_F(CgroupTest, AnotherProcessHasItsOwnGroups) {
  MountV1();
  Write("/proc/self/cgroup", "4:memory:/");
  Write("/proc/77/cgroup", "4:memory:/daemon");
  GroupV1("", kV1NoLimit, 0, kV1NoLimit);
  GroupV1("/daemon", "1000", 400, "1000");
  EXPECT_EQ(CgroupHeadroom(root_), kNoLimit);
  EXPECT_EQ(CgroupHeadroomOf(77, root_), ByteCount(600));
}

TEST_F(CgroupTest, ThisMachineIsRead) { EXPECT_GT(CgroupHeadroom().value(), 0u); }

}  // namespace
}  // namespace warmset::os
