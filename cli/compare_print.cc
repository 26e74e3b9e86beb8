// A comparison as text and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "compare.h"
#include "terminal.h"

namespace sula::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostRows = 24;  // unless all are asked for

// JSON has no infinity.
Json Number(double x) {
  return std::isfinite(x) ? Json(x) : Json(x > 0 ? "inf" : std::isnan(x) ? "nan" : "-inf");
}

std::string Where(const ComparedValue& v) {
  std::string text = fmt::format("value '{}'", v.name);
  if (!v.node.empty()) text += fmt::format(" of node '{}' ({})", v.node, v.op);
  return text;
}

std::string Short(double x) { return x == 0 ? "0" : fmt::format("{:.1e}", x); }

// The rows worth showing: outputs, what does not agree, the largest differences.
std::vector<bool> Chosen(const Comparison& c, bool all) {
  std::vector<bool> chosen(c.values.size(), all || c.values.size() <= kMostRows);
  std::vector<size_t> order(c.values.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t x, size_t y) {
    return c.values[x].difference.relative > c.values[y].difference.relative;
  });
  for (size_t i = 0; i < std::min(order.size(), kMostRows); ++i) chosen[order[i]] = true;
  const ComparedValue* first = c.FirstDivergence();
  for (size_t i = 0; i < c.values.size(); ++i)
    if (c.values[i].output || &c.values[i] == first) chosen[i] = true;
  return chosen;
}

}  // namespace

Json ToJson(const Comparison& c) {
  Json j;
  j["a"] = c.a;
  j["b"] = c.b;
  j["tolerance"] = c.tolerance;
  j["outputs_agree"] = c.OutputsAgree();
  const ComparedValue* first = c.FirstDivergence();
  j["first_divergence"] = first ? Json(first->name) : Json();
  j["notes"] = c.notes;
  j["ulp_limits"] = kUlpLimits;
  j["values"] = Json::array();
  for (const ComparedValue& v : c.values) {
    Json value{{"name", v.name}, {"node", v.node},     {"op", v.op},
               {"type", v.type}, {"output", v.output}, {"agrees", c.Agrees(v)}};
    const Difference& d = v.difference;
    if (!d.mismatch.empty()) {
      value["mismatch"] = d.mismatch;
    } else {
      value["elements"] = d.elements;
      value["largest"] = Number(d.largest);
      value["absolute"] = Number(d.absolute);
      value["relative"] = Number(d.relative);
      value["cosine"] = Number(d.cosine);
      value["ulps"] = d.ulps;
      if (d.absolute > 0)
        value["worst"] = {{"index", d.worst}, {"a", Number(d.worst_a)}, {"b", Number(d.worst_b)}};
    }
    j["values"].push_back(std::move(value));
  }
  return j;
}

void Print(const Comparison& c, bool all) {
  Heading(fmt::format("A  {}\nB  {}", c.a, c.b));
  fmt::print("\n");
  const std::vector<bool> chosen = Chosen(c, all);
  Table table({{""},
               {"value", Align::kLeft, 28},
               {"operator", Align::kLeft, 12},
               {"type", Align::kLeft, 22},
               {"absolute", Align::kRight},
               {"relative", Align::kRight},
               {"1 - cosine", Align::kRight},
               {"last places"}});
  size_t rows = 0;
  for (size_t i = 0; i < c.values.size(); ++i) {
    if (!chosen[i]) continue;
    ++rows;
    const ComparedValue& v = c.values[i];
    const Difference& d = v.difference;
    const std::string mark = fmt::format("{}{}", c.Agrees(v) ? "" : "≠ ", v.output ? "output" : "");
    if (!d.mismatch.empty())
      table.Row({mark, v.name, v.op, v.type, "-", "-", "-", d.mismatch});
    else
      table.Row({mark, v.name, v.op, v.type, Short(d.absolute), Short(d.relative),
                 Short(1 - d.cosine), "|" + Histogram(d) + "|"});
  }
  table.Print();
  fmt::print(
      "\n  last places: shares of elements that are equal, within 1, 4, 16, 256, 4096, 65536, "
      "more\n");
  if (rows < c.values.size())
    fmt::print(
        "  {} of {} values shown: outputs and the largest differences; --all shows the rest\n",
        rows, c.values.size());
  for (const std::string& note : c.notes) fmt::print("  {}\n", note);
  const auto agreeing = std::count_if(c.values.begin(), c.values.end(),
                                      [&](const ComparedValue& v) { return c.Agrees(v); });
  fmt::print("\n{} of {} values agree within {} of their largest element.\n", agreeing,
             c.values.size(), c.tolerance);
  if (const ComparedValue* first = c.FirstDivergence()) {
    const Difference& d = first->difference;
    fmt::print("First divergence: {}: {}\n", Where(*first),
               !d.mismatch.empty()
                   ? d.mismatch
                   : fmt::format("{:.7g} against {:.7g} at element {}, relative {:.1e}", d.worst_a,
                                 d.worst_b, sula::ToString(d.worst), d.relative));
  } else if (const ComparedValue* worst = c.Worst(); worst && worst->difference.relative > 0) {
    fmt::print("Largest relative difference: {:.1e}, {}\n", worst->difference.relative,
               Where(*worst));
  }
  fmt::print("The outputs {}.\n", c.OutputsAgree() ? "agree" : "DIFFER");
}

}  // namespace sula::cli
