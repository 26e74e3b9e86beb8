// The text form of machine profiles.
#include <charconv>
#include <cmath>
#include <cstdio>

#include "backends/cpu/machine_profile.h"

namespace sula::cpu {
namespace {

constexpr std::string_view kFirstLine = "sula machine profile 1";
constexpr std::string_view kLastLine = "end";
constexpr std::array<std::string_view, kNumLevels> kLevelNames = {"l1", "l2", "l3", "memory"};
constexpr int kMaxTileRows = 64;

std::string Digits(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3e", x);
  return text;
}

// The words of one line.
class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}
  // The next word; empty behind the last.
  std::string_view Next() {
    const size_t begin = rest_.find_first_not_of(' ');
    if (begin == std::string_view::npos) return rest_ = {};
    const size_t end = std::min(rest_.find(' ', begin), rest_.size());
    const std::string_view word = rest_.substr(begin, end - begin);
    rest_ = rest_.substr(end);
    return word;
  }
  std::string_view Rest() const {
    const size_t begin = rest_.find_first_not_of(' ');
    return begin == std::string_view::npos ? std::string_view() : rest_.substr(begin);
  }
  template <class T>
  bool Number(T* out, T least, T most) {
    const std::string_view word = Next();
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), *out);
    return error == std::errc() && end == word.data() + word.size() && *out >= least &&
           *out <= most;
  }
  // A rate or a time: nothing real lies outside.
  bool Rate(double* out) { return Number(out, 1e3, 1e18); }
  bool Time(double* out) { return Number(out, 0.0, 1.0); }
  bool Rates(LevelRates* r) { return Rate(&r->read) && Rate(&r->copy); }
  bool AtEnd() { return Next().empty(); }

 private:
  std::string_view rest_;
};

bool TargetOf(std::string_view name, size_t* target) {
  for (*target = 0; *target < size_t{kNumTargets}; ++*target)
    if (Name(static_cast<Target>(*target)) == name) return true;
  return false;
}

// One line into the profile; false if it makes no sense.
bool ParseLine(std::string_view line, MachineProfile& p) {
  Words words(line);
  const std::string_view name = words.Next();
  constexpr size_t kMost = size_t{1} << 40;
  size_t target = 0;
  if (name == "library") return !(p.key.library = words.Rest()).empty();
  if (name == "processor") return !(p.key.processor = words.Rest()).empty();
  if (name == "instruction_set") return !(p.key.instruction_set = words.Rest()).empty();
  if (name == "caches")
    return words.Number(&p.key.l1d_bytes, size_t{0}, kMost) &&
           words.Number(&p.key.l2_bytes, size_t{0}, kMost) &&
           words.Number(&p.key.l3_bytes, size_t{0}, kMost) && words.AtEnd();
  if (name == "flops")
    return TargetOf(words.Next(), &target) && words.Rate(&p.flops[target]) && words.AtEnd();
  if (name == "panel")
    return TargetOf(words.Next(), &target) && words.Time(&p.panel_seconds[target]) && words.AtEnd();
  if (name == "tile") {
    int vectors = 0, rows = 0;
    TileSeconds tile;
    if (!TargetOf(words.Next(), &target) || !words.Number(&vectors, 1, 3) ||
        !words.Number(&rows, 1, kMaxTileRows) || !words.Time(&tile.step) ||
        !words.Time(&tile.fixed) || !words.AtEnd()) {
      return false;
    }
    std::vector<TileSeconds>& table = p.tiles[target][static_cast<size_t>(vectors) - 1];
    if (table.size() + 1 != static_cast<size_t>(rows)) return false;
    table.push_back(tile);
    return true;
  }
  if (name == "threads") {
    ParallelSpeed s;
    if (!words.Number(&s.threads, 2, 4096) || !words.Number(&s.speedup, 0.1, 4096.0) ||
        !words.Rates(&s.l3) || !words.Rates(&s.memory) || !words.Time(&s.fork_seconds) ||
        !words.AtEnd()) {
      return false;
    }
    if (!p.parallel.empty() && p.parallel.back().threads >= s.threads) return false;
    p.parallel.push_back(s);
    return true;
  }
  for (size_t i = 0; i < kLevelNames.size(); ++i)
    if (name == kLevelNames[i]) return words.Rates(&p.levels[i]) && words.AtEnd();
  return false;
}

// What a profile must have, besides lines that make sense; empty if it has it.
std::string_view Missing(const MachineProfile& p) {
  if (p.key.library.empty()) return "library";
  if (p.key.processor.empty()) return "processor";
  size_t best = 0;
  if (!TargetOf(p.key.instruction_set, &best)) return "instruction_set";
  if (p.flops[best] == 0) return "flops";
  for (size_t i = 0; i < kLevelNames.size(); ++i)
    if (p.levels[i].read == 0) return kLevelNames[i];
  for (const auto& table : p.tiles[best])
    if (table.empty()) return "tile";
  return {};
}

}  // namespace

std::string ToText(const MachineProfile& p) {
  std::string text =
      StrCat(kFirstLine, "\n",
             "# Measured by sula, which chooses kernels by it; it is measured again when this is "
             "removed.\n",
             "library ", p.key.library, "\nprocessor ", p.key.processor, "\ninstruction_set ",
             p.key.instruction_set, "\ncaches ", p.key.l1d_bytes, " ", p.key.l2_bytes, " ",
             p.key.l3_bytes, "\n# One thread: flops a second of a product in L1.\n");
  for (size_t t = 0; t < p.flops.size(); ++t)
    if (p.flops[t] > 0)
      text += StrCat("flops ", Name(static_cast<Target>(t)), " ", Digits(p.flops[t]), "\n");
  text += "# Bytes a second: read, copied (what is read and what is written).\n";
  const auto rates = [](const LevelRates& r) {
    return StrCat(" ", Digits(r.read), " ", Digits(r.copy));
  };
  for (size_t i = 0; i < kLevelNames.size(); ++i)
    text += StrCat(kLevelNames[i], rates(p.levels[i]), "\n");
  text +=
      "# Products: seconds of a panel before its tiles; of a tile of so many vectors and rows, "
      "for\n"
      "# each value of k and besides.\n";
  for (size_t t = 0; t < p.tiles.size(); ++t) {
    if (p.tiles[t][0].empty()) continue;
    text += StrCat("panel ", Name(static_cast<Target>(t)), " ", Digits(p.panel_seconds[t]), "\n");
    for (size_t v = 0; v < p.tiles[t].size(); ++v)
      for (size_t r = 0; r < p.tiles[t][v].size(); ++r)
        text += StrCat("tile ", Name(static_cast<Target>(t)), " ", v + 1, " ", r + 1, " ",
                       Digits(p.tiles[t][v][r].step), " ", Digits(p.tiles[t][v][r].fixed), "\n");
  }
  if (!p.parallel.empty())
    text +=
        "# Threads: speed-up of arithmetic, bytes a second of L3 and memory, seconds of a fork.\n";
  for (const ParallelSpeed& s : p.parallel)
    text += StrCat("threads ", s.threads, " ", Digits(s.speedup), rates(s.l3), rates(s.memory), " ",
                   Digits(s.fork_seconds), "\n");
  return text + std::string(kLastLine) + "\n";
}

Result<MachineProfile> ParseProfile(std::string_view text) {
  MachineProfile p;
  int number = 0;
  bool ended = false;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return InvalidArgument("it ends within a line");
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (++number == 1) {
      if (line != kFirstLine) return InvalidArgument("it is no machine profile of this version");
    } else if (ended) {
      return InvalidArgument("line ", number, " follows the end");
    } else if (line == kLastLine) {
      ended = true;
    } else if (!line.empty() && line[0] != '#' && !ParseLine(line, p)) {
      return InvalidArgument("line ", number, " makes no sense");
    }
  }
  if (!ended) return InvalidArgument("its end is missing");
  if (const std::string_view missing = Missing(p); !missing.empty())
    return InvalidArgument("it has no '", missing, "'");
  return p;
}

}  // namespace sula::cpu
