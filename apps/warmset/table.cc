#include "table.h"

#include <algorithm>
#include <numeric>

namespace warmset::cli {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kLeastWidth = 8;  // of a column that shrinks

std::string Pad(std::string text, size_t width, bool right) {
  const size_t columns = Columns(text);
  const std::string blanks(width > columns ? width - columns : 0, ' ');
  return right ? blanks + text : text + blanks;
}

}  // namespace

void Table::AddRow(const std::vector<std::string>& cells) {
  std::vector<std::string>& row = rows_.emplace_back();
  for (const std::string& cell : cells) row.push_back(Printable(cell));
}

std::vector<size_t> Table::Widths(size_t screen_columns) const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = columns_[i].title.size();
    for (const auto& row : rows_) width = std::max(width, Columns(row[i]));
    widths.push_back(width);
  }
  size_t total = std::accumulate(widths.begin(), widths.end(), kGap * (widths.size() - 1));
  for (; screen_columns > 0 && total > screen_columns; --total) {
    size_t* widest = nullptr;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const size_t least = std::max(kLeastWidth, columns_[i].title.size());
      if (!columns_[i].shrinks || widths[i] <= least) continue;
      if (widest == nullptr || widths[i] > *widest) widest = &widths[i];
    }
    if (widest == nullptr) break;  // the terminal wraps the lines then
    --*widest;
  }
  return widths;
}

std::string Table::Render(const Screen& screen) const {
  const std::vector<size_t> widths = Widths(screen.columns);
  const auto line = [&](const Style& style, auto cell_of) {
    std::string text;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) text.append(kGap, ' ');
      const std::string cell =
          Pad(ShortenMiddle(cell_of(i), widths[i]), widths[i], columns_[i].right);
      text += columns_[i].paint != nullptr ? columns_[i].paint(style, cell) : cell;
    }
    return text.substr(0, text.find_last_not_of(' ') + 1);
  };
  const std::string headline = line(Style(false), [&](size_t i) { return columns_[i].title; });
  std::string text = screen.style.Bold(headline) + "\n";
  for (const auto& row : rows_) text += line(screen.style, [&](size_t i) { return row[i]; }) + "\n";
  return text;
}

std::string RenderFields(const std::vector<std::pair<std::string, std::string>>& fields,
                         const Screen& screen) {
  size_t width = 0;
  for (const auto& [label, value] : fields) {
    if (!value.empty()) width = std::max(width, label.size());
  }
  std::string text;
  for (const auto& [label, value] : fields) {
    if (value.empty()) continue;
    text += screen.style.Bold(Pad(label, width + kGap, false)) + Printable(value) + "\n";
  }
  return text;
}

}  // namespace warmset::cli
