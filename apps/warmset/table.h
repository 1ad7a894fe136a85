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

// Rows under a headline. Columns are as wide as their content; without a screen they
// stay so. Where that is wider than the screen, until it fits:
//   1. columns without content leave;
//   2. those marked `below` get a line of their own below each row;
//   3. those that shrink lose their middle, as far as they still tell something;
//   4. those with a number in `leaves` leave, the lowest first;
//   5. those that shrink do so to the least.
// Names and paths do neither: where they alone are too wide, the terminal wraps.
class Table {
 public:
  struct Column {
    std::string title;
    bool right = false;
    bool shrinks = false;
    int leaves = 0;  // 0: never
    bool below = false;
    // Colours a cell, blanks around it included.
    std::string (*paint)(const Style& style, std::string_view cell) = nullptr;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // REQUIRES: one cell for each column.
  void AddRow(const std::vector<std::string>& cells);
  std::string Render(const Screen& screen) const;

 private:
  enum class Place { kInRow, kBelow, kLeft };
  struct Layout {
    std::vector<Place> places;   // by column
    std::vector<size_t> widths;  // of those in the row
    size_t Total() const;
  };
  Layout Fit(size_t screen_columns) const;
  void Shrink(size_t least, size_t screen_columns, Layout& layout) const;
  std::string RowText(const std::vector<std::string>& cells, const Layout& layout,
                      const Style& style) const;
  std::string BelowText(const std::vector<std::string>& cells, const Layout& layout,
                        size_t screen_columns) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;  // printable
};

// "Label   value" lines, the values below each other; empty values are left out.
std::string RenderFields(const std::vector<std::pair<std::string, std::string>>& fields,
                         const Screen& screen);

}  // namespace warmset::cli
