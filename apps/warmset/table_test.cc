#include "table.h"

#include <sstream>

#include "gtest/gtest.h"

namespace warmset::cli {
namespace {

Table Models() {
  Table table(
      {{.title = "NAME", .shrinks = true}, {.title = "SIZE", .right = true}, {.title = "WHERE"}});
  table.AddRow({"stabilityai/stable-diffusion-xl-base-1.0", "6.46 GiB", "ram"});
  table.AddRow({"vae", "160 MiB", ""});
  return table;
}

TEST(Table, FitsItsContentWhereThereIsNoScreen) {
  EXPECT_EQ(Models().Render({}),
            "NAME                                          SIZE  WHERE\n"
            "stabilityai/stable-diffusion-xl-base-1.0  6.46 GiB  ram\n"
            "vae                                        160 MiB\n");
}

TEST(Table, ShortensNamesToTheScreen) {
  EXPECT_EQ(Models().Render({.columns = 32}),
            "NAME                 SIZE  WHERE\n"
            "stabili…ase-1.0  6.46 GiB  ram\n"
            "vae               160 MiB\n");
}

TEST(Table, NoLineIsWiderThanTheScreen) {
  for (size_t columns = 26; columns < 60; ++columns) {
    std::istringstream lines(Models().Render({.columns = columns}));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(Columns(line), columns) << line;
  }
}

TEST(Table, KeepsTheLeastWidthOnATinyScreen) {
  const std::string text = Models().Render({.columns = 5});
  EXPECT_NE(text.find("sta…-1.0"), std::string::npos) << text;
}

TEST(Table, ShrinksTheWidestFirst) {
  Table table({{.title = "A", .shrinks = true}, {.title = "B", .shrinks = true}});
  table.AddRow({std::string(30, 'a'), std::string(10, 'b')});
  const std::string text = table.Render({.columns = 22});
  EXPECT_NE(text.find("bbbbbbbbbb"), std::string::npos) << text;
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

TEST(RenderFields, LeavesOutWhatIsEmpty) {
  EXPECT_EQ(RenderFields({{"Name", "x"}, {"Architecture", ""}, {"Size", "1 B"}}, {}),
            "Name  x\nSize  1 B\n");
}

}  // namespace
}  // namespace warmset::cli
