#include "table.h"

#include <algorithm>
#include <numeric>

namespace warmset::cli {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kTellingWidth = 24;  // of a column that shrinks
constexpr size_t kLeastWidth = 8;
constexpr size_t kIndent = 4;  // of lines below a row

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

size_t Table::Layout::Total() const {
  size_t total = 0;
  for (size_t i = 0; i < places.size(); ++i) {
    if (places[i] == Place::kInRow) total += widths[i] + (total > 0 ? kGap : 0);
  }
  return total;
}

Table::Layout Table::Fit(size_t screen_columns) const {
  Layout layout{.places = std::vector<Place>(columns_.size(), Place::kInRow), .widths = {}};
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = columns_[i].title.size();
    for (const auto& row : rows_) width = std::max(width, Columns(row[i]));
    layout.widths.push_back(width);
  }
  const auto fits = [&] { return screen_columns == 0 || layout.Total() <= screen_columns; };
  if (fits()) return layout;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const bool empty =
        !rows_.empty() &&
        std::all_of(rows_.begin(), rows_.end(), [i](const auto& row) { return row[i].empty(); });
    if (empty) layout.places[i] = Place::kLeft;
  }
  for (size_t i = 0; i < columns_.size() && !fits(); ++i) {
    if (columns_[i].below) layout.places[i] = Place::kBelow;
  }
  Shrink(kTellingWidth, screen_columns, layout);
  while (!fits()) {
    size_t first = columns_.size();  // to leave
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i].leaves == 0 || layout.places[i] != Place::kInRow) continue;
      if (first == columns_.size() || columns_[i].leaves < columns_[first].leaves) first = i;
    }
    if (first == columns_.size()) break;
    layout.places[first] = Place::kLeft;
  }
  Shrink(kLeastWidth, screen_columns, layout);
  return layout;
}

void Table::Shrink(size_t least, size_t screen_columns, Layout& layout) const {
  for (size_t total = layout.Total(); total > screen_columns; --total) {
    size_t* widest = nullptr;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const bool shrinks = columns_[i].shrinks && layout.places[i] == Place::kInRow;
      if (!shrinks || layout.widths[i] <= std::max(least, columns_[i].title.size())) continue;
      if (widest == nullptr || layout.widths[i] > *widest) widest = &layout.widths[i];
    }
    if (widest == nullptr) return;
    --*widest;
  }
}

std::string Table::RowText(const std::vector<std::string>& cells, const Layout& layout,
                           const Style& style) const {
  std::string text;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (layout.places[i] != Place::kInRow) continue;
    if (!text.empty()) text.append(kGap, ' ');
    const size_t width = layout.widths[i];
    const std::string cell = Pad(ShortenMiddle(cells[i], width), width, columns_[i].right);
    text += columns_[i].paint != nullptr ? columns_[i].paint(style, cell) : cell;
  }
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

std::string Table::BelowText(const std::vector<std::string>& cells, const Layout& layout,
                             size_t screen_columns) const {
  std::string text;
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (layout.places[i] != Place::kBelow || cells[i].empty()) continue;
    text += Indented(cells[i], kIndent, screen_columns) + "\n";
  }
  return text;
}

std::string Table::Render(const Screen& screen) const {
  const Layout layout = Fit(screen.columns);
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  std::string text;
  const std::string headline = RowText(titles, layout, Style(false));
  text += screen.style.Bold(headline) + "\n";
  for (const auto& row : rows_) {
    text += RowText(row, layout, screen.style) + "\n" + BelowText(row, layout, screen.columns);
  }
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
    const std::string lines = Indented(Printable(value), width + kGap, screen.columns);
    text += screen.style.Bold(Pad(label, width + kGap, false)) + lines.substr(width + kGap) + "\n";
  }
  return text;
}

}  // namespace warmset::cli
