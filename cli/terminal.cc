#include "terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace sula::cli {
namespace {

// Columns that UTF-8 text takes: its code points.
size_t Width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// The first `width` - 1 code points and an ellipsis, if the text is wider.
std::string Cut(const std::string& text, size_t width) {
  if (width == 0 || Width(text) <= width) return text;
  size_t end = 0;
  for (size_t seen = 0; end < text.size(); ++end)
    if ((text[end] & 0xc0) != 0x80 && seen++ == width - 1) break;
  return text.substr(0, end) + "…";
}

bool UseColor(FILE* out) { return isatty(fileno(out)) != 0 && std::getenv("NO_COLOR") == nullptr; }

// Columns of the terminal that this goes to; 0: it is none, or does not say.
size_t TerminalWidth(FILE* out) {
  winsize size{};
  if (isatty(fileno(out)) == 0 || ioctl(fileno(out), TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

std::string Scaled(double value, double base, std::initializer_list<std::string_view> units) {
  auto unit = units.begin();
  while (std::abs(value) >= base && unit + 1 != units.end()) value /= base, ++unit;
  bool whole = unit == units.begin() && value == std::floor(value);
  int digits = whole ? 0 : std::abs(value) < 10 ? 2 : std::abs(value) < 100 ? 1 : 0;
  return fmt::format("{:.{}f}{}{}", value, digits, unit->empty() ? "" : " ", *unit);
}

}  // namespace

void Table::Row(std::vector<std::string> cells) {
  for (size_t i = 0; i < cells.size(); ++i) cells[i] = Cut(cells[i], columns_[i].max_width);
  rows_.push_back(std::move(cells));
}

void Table::Narrow(std::vector<size_t>& widths, size_t room) const {
  constexpr size_t kLeast = 10, kGap = 2;
  if (room == 0) return;
  size_t total = 0;
  for (const size_t width : widths) total += width + kGap;
  while (total-- > room) {
    size_t widest = widths.size();
    for (size_t i = 0; i < widths.size(); ++i)
      if (columns_[i].max_width > 0 && widths[i] > kLeast &&
          (widest == widths.size() || widths[i] > widths[widest]))
        widest = i;
    if (widest == widths.size()) return;
    --widths[widest];
  }
}

void Table::Print(FILE* out) const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = Width(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, Width(row[i]));
    widths.push_back(width);
  }
  Narrow(widths, TerminalWidth(out));
  auto line = [&](auto cell) {
    std::string text;
    for (size_t i = 0; i < columns_.size(); ++i) {
      std::string content = Cut(cell(i), widths[i]);
      std::string gap(widths[i] - Width(content), ' ');
      text += "  " + (columns_[i].align == Align::kLeft ? content + gap : gap + content);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  };
  bool color = UseColor(out);
  std::string header = line([&](size_t i) { return columns_[i].title; });
  if (!header.empty())
    fmt::print(out, "{}{}{}\n", color ? "\x1b[2m" : "", header, color ? "\x1b[0m" : "");
  for (const auto& row : rows_) fmt::print(out, "{}\n", line([&](size_t i) { return row[i]; }));
}

void Heading(std::string_view text, FILE* out) {
  bool color = UseColor(out);
  fmt::print(out, "{}{}{}\n", color ? "\x1b[1m" : "", text, color ? "\x1b[0m" : "");
}

std::string FormatBytes(double bytes) {
  return Scaled(bytes, 1024, {"B", "KiB", "MiB", "GiB", "TiB"});
}

std::string FormatCount(double n) { return Scaled(n, 1000, {"", "k", "M", "G", "T"}); }

std::string FormatSeconds(double s) {
  if (s == 0) return "0";
  return s >= 1 ? Scaled(s, 1000, {"s"}) : Scaled(s * 1e9, 1000, {"ns", "µs", "ms"});
}

std::string FormatMilliseconds(double s) {
  double ms = s * 1e3;
  return fmt::format("{:.{}f}", ms, ms < 10 ? 3 : ms < 100 ? 2 : 1);
}

std::string FormatPercent(double part, double whole) {
  return whole > 0 ? fmt::format("{:.1f} %", 100 * part / whole) : "-";
}

Progress::Progress(bool quiet)
    : terminal_(isatty(STDERR_FILENO) != 0),
      quiet_(quiet),
      next_(Clock::now() + std::chrono::milliseconds(terminal_ ? 200 : 5000)) {}

Progress::~Progress() { Wipe(); }

void Progress::Wipe() {
  if (shown_ && terminal_) fmt::print(stderr, "\r\x1b[K");
}

void Progress::Note(std::string_view text) {
  if (quiet_) return;
  Wipe();
  fmt::print(stderr, "sula: note: {}\n", text);
}

void Progress::Update(std::string_view text) {
  Clock::time_point now = Clock::now();
  if (quiet_ || now < next_) return;
  next_ = now + std::chrono::milliseconds(terminal_ ? 50 : 5000);
  shown_ = true;
  if (terminal_) {
    fmt::print(stderr, "\r\x1b[K{}", Cut(std::string(text), 100));
    std::fflush(stderr);
  } else {
    fmt::print(stderr, "{}\n", text);
  }
}

int ExitCode(const Status& status) {
  switch (status.code()) {
    case Code::kOk: return kExitOk;
    case Code::kUnsupported: return kExitUnsupported;
    default: return kExitError;
  }
}

int Report(const Status& status) {
  if (!status.ok()) {
    std::fflush(stdout);
    bool color = UseColor(stderr);
    fmt::print(stderr, "{}sula:{} {}\n", color ? "\x1b[1;31m" : "", color ? "\x1b[0m" : "",
               status.ToString());
  }
  return ExitCode(status);
}

}  // namespace sula::cli
