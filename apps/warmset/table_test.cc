#include "table.h"

#include <sstream>

#include "gtest/gtest.h"

namespace warmset::cli {
namespace {

Table Models() {
  Table table({{.title = "NAME"},
               {.title = "ID", .leaves = 1},
               {.title = "SIZE", .right = true, .leaves = 2},
               {.title = "ERROR"},
               {.title = "HELD BY", .shrinks = true}});
  table.AddRow({"stabilityai/stable-diffusion-xl-base-1.0", "0123", "6.46 GiB", "",
                "412 python serve.py --with many arguments"});
  table.AddRow({"vae", "4567", "160 MiB", "", ""});
  return table;
}

TEST(Table, FitsItsContentWhereThereIsNoScreen) {
  EXPECT_EQ(Models().Render({}),
            "NAME                                      ID        SIZE  ERROR  HELD BY\n"
            "stabilityai/stable-diffusion-xl-base-1.0  0123  6.46 GiB         412 python serve.py "
            "--with many arguments\n"
            "vae                                       4567   160 MiB\n");
}

TEST(Table, EmptyColumnsLeaveFirstAndLongOnesShrink) {
  EXPECT_EQ(Models().Render({.columns = 84}),
            "NAME                                      ID        SIZE  HELD BY\n"
            "stabilityai/stable-diffusion-xl-base-1.0  0123  6.46 GiB  412 python s…any arguments\n"
            "vae                                       4567   160 MiB\n");
}

TEST(Table, ColumnsLeaveInTheirOrderAndNamesStayWhole) {
  EXPECT_EQ(Models().Render({.columns = 80}),
            "NAME                                          SIZE  HELD BY\n"
            "stabilityai/stable-diffusion-xl-base-1.0  6.46 GiB  412 python …ny arguments\n"
            "vae                                        160 MiB\n");
  EXPECT_EQ(Models().Render({.columns = 60}),
            "NAME                                      HELD BY\n"
            "stabilityai/stable-diffusion-xl-base-1.0  412 pyth…arguments\n"
            "vae\n");
  EXPECT_EQ(Models().Render({.columns = 5}),
            "NAME                                      HELD BY\n"
            "stabilityai/stable-diffusion-xl-base-1.0  412…ents\n"
            "vae\n");
}

TEST(Table, NoLineIsWiderThanTheScreen) {
  for (size_t columns = 50; columns < 120; ++columns) {
    std::istringstream lines(Models().Render({.columns = columns}));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(Columns(line), columns) << line;
  }
}

TEST(Table, ReasonsGoBelowTheirRow) {
  Table table({{.title = "PATH"}, {.title = "REASON", .below = true}});
  table.AddRow({"/models/half.safetensors", "a part is not there; download it again"});
  table.AddRow({"/m", ""});
  EXPECT_EQ(table.Render({}),
            "PATH                      REASON\n"
            "/models/half.safetensors  a part is not there; download it again\n"
            "/m\n");
  EXPECT_EQ(table.Render({.columns = 30}),
            "PATH\n"
            "/models/half.safetensors\n"
            "    a part is not there;\n"
            "    download it again\n"
            "/m\n");
}

TEST(Table, NamesCannotBreakLines) {
  Table table({{.title = "NAME"}});
  table.AddRow({"evil\nname\x1b[31m"});
  EXPECT_EQ(table.Render({}), "NAME\nevil\\nname\\x1b[31m\n");
}

TEST(Table, TitlesAreBoldOnATerminal) {
  Table table({{.title = "NAME"}});
  EXPECT_EQ(table.Render({.style = Style(true)}), "\x1b[1mNAME\x1b[0m\n");
}

TEST(RenderFields, LongValuesStayInTheirColumn) {
  EXPECT_EQ(RenderFields({{"Error", "it is held by a process"}}, {.columns = 27}),
            "Error  it is held by a\n       process\n");
}

TEST(RenderFields, LeavesOutWhatIsEmpty) {
  EXPECT_EQ(RenderFields({{"Name", "x"}, {"Architecture", ""}, {"Size", "1 B"}}, {}),
            "Name  x\nSize  1 B\n");
}

}  // namespace
}  // namespace warmset::cli
