// What people see: tables, numbers with units, progress, errors.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "sula/status.h"

namespace sula::cli {

enum class Align { kLeft, kRight };

// Rows of text in aligned columns.
class Table {
 public:
  struct Column {
    std::string title;
    Align align = Align::kLeft;
    size_t max_width = 0;  // longer text is cut with an ellipsis, and more of it where the
                           // terminal is narrow; 0: never
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as there are columns; the text is UTF-8.
  void Row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // Two spaces of indent, a header, then the rows.
  void Print(FILE* out = stdout) const;

 private:
  // Takes from the widest columns that may be cut until all fit into `room` (0: no limit).
  void Narrow(std::vector<size_t>& widths, size_t room) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// A title line; bold on a terminal.
void Heading(std::string_view text, FILE* out = stdout);

std::string FormatBytes(double bytes);                 // "1.5 MiB"
std::string FormatCount(double n);                     // "3.42 M"
std::string FormatSeconds(double s);                   // "1.234 ms"
std::string FormatMilliseconds(double s);              // "1.234"
std::string FormatPercent(double part, double whole);  // "12.3 %"

// Says on stderr how long work gets on: on a terminal one line that changes, elsewhere a line
// every few seconds, and nothing at all if it is over before anybody wonders.
class Progress {
 public:
  explicit Progress(bool quiet);
  ~Progress();  // wipes the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void Update(std::string_view text);
  // A line that stays: "sula: note: ...".
  void Note(std::string_view text);

 private:
  void Wipe();
  using Clock = std::chrono::steady_clock;
  bool terminal_, quiet_, shown_ = false;
  Clock::time_point next_;
};

// The process's exit code for an outcome.
inline constexpr int kExitOk = 0, kExitError = 1, kExitUsage = 2, kExitUnsupported = 3;
int ExitCode(const Status& status);

// Prints "error: ..." to stderr, unless the status is OK; returns the exit code.
int Report(const Status& status);

}  // namespace sula::cli
