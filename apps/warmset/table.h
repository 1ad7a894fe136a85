#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text.h"

namespace warmset::cli {

// What output is fitted to.
struct Screen {
  Style style{false};
  size_t columns = 0;  // 0: as wide as needed
  int64_t now_unix_ms = 0;
};

// Rows under a headline. Columns are as wide as their content; where that is
// wider than the screen, those marked `shrinks` lose their middle.
class Table {
 public:
  struct Column {
    std::string title;
    bool right = false;
    bool shrinks = false;
    // Colours a cell, blanks around it included.
    std::string (*paint)(const Style& style, std::string_view cell) = nullptr;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // REQUIRES: one cell for each column.
  void AddRow(const std::vector<std::string>& cells);
  std::string Render(const Screen& screen) const;

 private:
  std::vector<size_t> Widths(size_t screen_columns) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;  // printable
};

// "Label   value" lines, the values below each other; empty values are left out.
std::string RenderFields(const std::vector<std::pair<std::string, std::string>>& fields,
                         const Screen& screen);

}  // namespace warmset::cli
