#include "explain_page.h"

#include <algorithm>

#include "node_figures.h"
#include "report_json.h"

namespace sula::cli {
namespace {

using Json = nlohmann::ordered_json;

Json ModelJson(const Explained& e) {
  Json j;
  j["path"] = e.path;
  j["name"] = e.info.name;
  j["metadata"] = e.info.metadata;
  j["inputs"] = ToJson(e.info.inputs);
  j["outputs"] = ToJson(e.info.outputs);
  j["parameters"] = e.info.parameters;
  j["parameter_bytes"] = e.info.constant_bytes;
  j["multiply_adds"] = e.info.multiply_adds;
  j["uncounted_nodes"] = e.info.uncounted_nodes;
  return j;
}

Json MachineJson(const MachineSpeed& speed) {
  const MachineInfo machine = Machine();
  Json j;
  j["processor"] = machine.processor;
  j["instruction_set"] = machine.instruction_set;
  j["cpus"] = machine.cpus;
  j["l1d_bytes"] = machine.l1d_bytes;
  j["l2_bytes"] = machine.l2_bytes;
  j["l3_bytes"] = machine.l3_bytes;
  j["flops_per_second"] = speed.flops_per_second;
  j["bytes_per_second"] = speed.bytes_per_second;
  return j;
}

// What is known of the machine, and of each command the bound that sets.
void AddMachine(Json& j, const Explained& e) {
  j["machine"] = MachineJson(e.speed);
  if (e.chosen_by) j["machine"]["profile"] = ToJson(*e.chosen_by);
  for (size_t i = 0; i < e.profile.report.nodes.size(); ++i) {
    const Roofline roofline = RooflineOf(e.profile.report.nodes[i], e.speed);
    if (roofline.seconds <= 0) continue;
    j["nodes"][i]["bound"] = roofline.memory ? "memory" : "compute";
    j["nodes"][i]["bound_seconds"] = roofline.seconds;
  }
}

}  // namespace

Json PlanJson(const Explained& e) {
  Json j = ToJson(e.profile.report);
  AddMachine(j, e);
  return j;
}

Json ToJson(const Explained& e) {
  Json j = ToJson(e.profile);
  j["version"] = Version();
  j["model"] = ModelJson(e);
  AddMachine(j, e);
  if (!e.profile.runs.empty()) {
    std::vector<double> runs = e.profile.runs;
    std::sort(runs.begin(), runs.end());
    j["run_seconds"] = {
        {"min", runs.front()}, {"median", runs[runs.size() / 2]}, {"max", runs.back()}};
  }
  return j;
}

}  // namespace sula::cli
