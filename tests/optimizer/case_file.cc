#include "optimizer/case_file.h"

#include <cmath>
#include <fstream>
#include <sstream>

#include "ir/text.h"
#include "ops/catalogue.h"

namespace sula::test {
namespace {

std::string Trimmed(std::string s) {
  s.erase(0, s.find_first_not_of(" \t"));
  s.erase(s.find_last_not_of(" \t\n") + 1);
  return s;
}

// Concrete inputs for a graph; every symbol gets a small number of its own.
std::vector<Tensor> RandomInputs(const Graph& g, uint64_t seed) {
  DimBindings bindings;
  for (ValueId v : g.inputs())
    for (const Dim& dim : *g.value(v).type.shape)
      for (const std::string& name : dim.Symbols())
        bindings.emplace(name, 2 + static_cast<int64_t>(bindings.size()));
  std::vector<Tensor> inputs;
  for (ValueId v : g.inputs()) {
    const TensorType& type = g.value(v).type;
    inputs.push_back(RandomTensor(type.dtype, type.shape->Substitute(bindings).Concrete(), seed++));
  }
  return inputs;
}

}  // namespace

Result<std::vector<Case>> ReadCases(const std::string& path) {
  std::ifstream in(path);
  if (!in) return NotFound("cannot read ", path);
  std::vector<Case> cases;
  bool after = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("case ")) {
      cases.emplace_back().title = Trimmed(line.substr(5));
      after = false;
    } else if (cases.empty()) {
      if (!Trimmed(line).empty() && line[0] != '#') return InvalidArgument("text before a case");
    } else if (line.starts_with("apply ")) {
      std::istringstream names(line.substr(6));
      for (std::string name; names >> name;) cases.back().apply.push_back(name);
    } else if (line == "=>") {
      after = true;
    } else if (line != "unchanged") {
      (after ? cases.back().after : cases.back().before) += line + "\n";
    }
  }
  for (Case& c : cases) c.after = Trimmed(c.after);
  return cases;
}

Result<std::vector<Stage>> StagesOf(const Case& c) {
  std::vector<Stage> stages;
  const std::span<const Stage> all = DefaultPipeline();
  for (const std::string& name : c.apply) {
    const size_t before = stages.size();
    if (name == "pipeline") stages.assign(all.begin(), all.end());
    for (const Stage& stage : all) {
      if (stages.size() > before) break;
      if (stage.pass && stage.pass->name == name) stages.push_back({stage.pass, {}});
      for (const Rule* rule : stage.rules)
        if (rule->name == name && stages.size() == before) stages.push_back({{}, {rule}});
    }
    if (stages.size() == before) return NotFound("no rule or pass is named ", name);
  }
  return stages;
}

std::string CompareRuns(const Graph& a, const Graph& b, uint64_t seed, double tolerance) {
  const std::vector<Tensor> inputs = RandomInputs(a, seed);
  const Result<std::vector<Tensor>> x = EvaluateGraph(a, inputs), y = EvaluateGraph(b, inputs);
  if (!x.has_value()) return "the graph before does not run: " + x.status().ToString();
  if (!y.has_value()) return "the graph after does not run: " + y.status().ToString();
  if (x->size() != y->size()) return "another number of outputs";
  for (size_t i = 0; i < x->size(); ++i) {
    const Tensor &p = (*x)[i], &q = (*y)[i];
    if (p.dtype() != q.dtype() || p.dims() != q.dims())
      return StrCat("output ", i, ": ", ToString(p.dims()), " became ", ToString(q.dims()));
    for (int64_t j = 0; j < p.num_elements(); ++j) {
      const double u = p.AsDouble(j), v = q.AsDouble(j);
      const double allowed = IsFloat(p.dtype()) ? tolerance * (1 + std::abs(u)) : 0;
      const bool same = u == v || (std::isnan(u) && std::isnan(v)) || std::abs(u - v) <= allowed;
      if (!same) return StrCat("output ", i, "[", j, "]: ", u, " became ", v);
    }
  }
  return {};
}

std::string Check(const Case& c, std::span<const Stage> stages) {
  const Result<Graph> before = ParseGraph(c.before, AllOps());
  if (!before.has_value()) return "before: " + before.status().ToString();
  Graph graph = *before;
  const Result<OptimizeReport> report = RunStages(graph, stages);
  if (!report.has_value()) return report.status().ToString();
  if (c.after.empty())
    return report->log.empty() ? "" : "applied " + report->log.front() + "\n" + Print(graph);
  std::string failure;
  const Result<Graph> after = ParseGraph(c.after, AllOps());
  if (!after.has_value()) return "after: " + after.status().ToString() + "\n" + Print(graph);
  Graph expected = *after;
  expected.name = graph.name;
  const PrintOptions all = {.all_elements = true};
  if (Print(graph, all) != Print(expected, all))
    failure = "expected:\n" + Print(expected) + "got:\n" + Print(graph);
  for (uint64_t seed : {1, 1000}) {
    if (std::string difference = CompareRuns(*before, graph, seed); !difference.empty())
      failure += "\nseed " + std::to_string(seed) + ": " + difference;
  }
  return failure;
}

}  // namespace sula::test
