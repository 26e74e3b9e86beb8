#include "report_json.h"

#include "node_figures.h"

namespace sula::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string_view Name(TuneOutcome outcome) {
  switch (outcome) {
    case TuneOutcome::kSame: return "same";
    case TuneOutcome::kTuned: return "tuned";
    case TuneOutcome::kUntuned: return "untuned";
    case TuneOutcome::kUncompared: return "uncompared";
    default: return "none";
  }
}

Json ToJson(const CandidateReport& c) {
  Json candidate{{"backend", c.backend}, {"kernel", c.kernel}, {"nodes", c.nodes}};
  if (c.refused.empty()) {
    candidate["estimate_seconds"] = c.kernel_seconds;
    if (c.measured_seconds > 0) candidate["measured_seconds"] = c.measured_seconds;
    candidate["with_copies_seconds"] = c.seconds;
    if (c.nodes > 1) candidate["apart_seconds"] = c.seconds_apart;
  } else {
    candidate["refused"] = c.refused;
  }
  return candidate;
}

Json ToJson(const NodeReport& n) {
  Json node;
  node["name"] = n.name;
  node["op"] = n.op;
  node["chain"] = n.chain;
  node["fields"] = Json::object();
  for (const auto& [name, value] : n.fields) node["fields"][name] = value;
  node["inputs"] = n.inputs;
  node["outputs"] = n.outputs;
  node["input_values"] = n.input_values;
  node["output_values"] = n.output_values;
  node["producers"] = n.producers;
  node["backend"] = n.backend;
  node["kernel"] = n.kernel;
  node["detail"] = n.detail;
  node["estimate_seconds"] = n.seconds;
  if (const double t = TunedSeconds(n); t > 0) node["tuned_seconds"] = t;
  if (const Loss loss = LossOf(n); loss.best) node["loss"] = loss.share;
  if (n.locked) node["locked"] = true;
  node["flops"] = n.flops;
  node["bytes"] = n.bytes;
  node["workspace_bytes"] = n.workspace_bytes;
  node["constant_bytes"] = n.constant_bytes;
  node["candidates"] = Json::array();
  for (const CandidateReport& c : n.candidates) node["candidates"].push_back(ToJson(c));
  return node;
}

}  // namespace

Json ToJson(const PlanReport& report) {
  Json j;
  j["threads"] = report.threads;
  j["arena_bytes"] = report.arena_bytes;
  j["lower_bound_bytes"] = report.lower_bound_bytes;
  j["constant_bytes"] = report.constant_bytes;
  j["borrowed_bytes"] = report.borrowed_bytes;
  j["mapped_bytes"] = report.mapped_bytes;
  j["shared_bytes"] = report.shared_bytes;
  if (!report.pack_cache.empty()) j["pack_cache"] = report.pack_cache;
  j["port_bytes"] = report.port_bytes;
  j["total_bytes"] = report.total_bytes;
  j["locked_nodes"] = report.locked_nodes;
  if (report.tune.budget_seconds > 0)
    j["tune"] = {{"budget_seconds", report.tune.budget_seconds},
                 {"seconds", report.tune.seconds},
                 {"nodes", report.tune.nodes},
                 {"distinct_nodes", report.tune.distinct_nodes},
                 {"measured_nodes", report.tune.measured_nodes},
                 {"predicted_seconds", report.tune.predicted_seconds},
                 {"covered_seconds", report.tune.covered_seconds},
                 {"candidates", report.tune.candidates},
                 {"runs", report.tune.runs},
                 {"outcome", Name(report.tune.outcome)},
                 {"tuned_run_seconds", report.tune.tuned_run_seconds},
                 {"untuned_run_seconds", report.tune.untuned_run_seconds}};
  j["nodes"] = Json::array();
  for (const NodeReport& n : report.nodes) j["nodes"].push_back(ToJson(n));
  j["placements"] = Json::array();
  for (const TensorPlacement& p : report.placements)
    j["placements"].push_back({{"name", p.name},
                               {"offset", p.offset},
                               {"bytes", p.bytes},
                               {"first_command", p.first_command},
                               {"last_command", p.last_command}});
  return j;
}

Json ToJson(const Profile& profile) {
  Json j = ToJson(profile.report);
  j["runs"] = profile.runs.size();
  for (size_t i = 0; i < profile.commands.size(); ++i) {
    j["nodes"][i]["min_seconds"] = profile.commands[i].min;
    j["nodes"][i]["median_seconds"] = profile.commands[i].median;
  }
  return j;
}

Json ToJson(const std::vector<ValueInfo>& values) {
  Json list = Json::array();
  for (const ValueInfo& v : values)
    list.push_back(
        {{"name", v.name}, {"dtype", Name(v.dtype)}, {"dims", v.dims}, {"type", v.type}});
  return list;
}

Json ToJson(const ProfileInUse& profile) {
  return {{"file", profile.file}, {"note", profile.note}, {"named", profile.named}};
}

std::string Text(const Json& json) {
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace sula::cli
