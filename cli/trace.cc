#include "trace.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace sula::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kGap = 20e-6;  // seconds between two runs, which in truth are further apart

// Bytes of the arena that hold something while each command runs.
std::vector<size_t> LiveBytes(const PlanReport& report) {
  std::vector<size_t> live(report.nodes.size(), 0);
  for (const TensorPlacement& p : report.placements)
    for (int i = std::max(p.first_command, 0);
         i <= p.last_command && i < static_cast<int>(live.size()); ++i)
      live[static_cast<size_t>(i)] += p.bytes;
  return live;
}

Json Arguments(const NodeReport& node, double seconds) {
  Json args{{"operator", node.op}, {"kernel", KernelName(node)}};
  if (!node.detail.empty()) args["detail"] = node.detail;
  args["inputs"] = node.inputs;
  args["outputs"] = node.outputs;
  args["estimate_us"] = node.seconds * 1e6;
  if (node.flops > 0 && seconds > 0) args["GFLOP/s"] = 1e-9 * node.flops / seconds;
  if (node.bytes > 0 && seconds > 0) args["GB/s"] = 1e-9 * node.bytes / seconds;
  return args;
}

// A slice on the one lane that there is; times in microseconds, as the format wants them.
Json Slice(const std::string& name, const char* category, double begin, double end) {
  return {{"name", name},      {"cat", category},           {"ph", "X"}, {"pid", 1}, {"tid", 1},
          {"ts", begin * 1e6}, {"dur", (end - begin) * 1e6}};
}

Json Named(const char* what, const std::string& name) {
  return {{"name", what}, {"ph", "M"}, {"pid", 1}, {"tid", 1}, {"args", {{"name", name}}}};
}

}  // namespace

Status WriteTrace(const std::string& path, const Profile& profile, const std::string& model) {
  const std::vector<NodeReport>& nodes = profile.report.nodes;
  const std::vector<size_t> live = LiveBytes(profile.report);
  Json events = Json::array();
  events.push_back(Named("process_name", "sula " + model));
  events.push_back(Named("thread_name", fmt::format("runs, {} threads", profile.report.threads)));
  double origin = 0;
  for (size_t r = 0; r < profile.kept.size(); ++r) {
    double end = 0;
    for (const CommandTime& t : profile.kept[r]) end = std::max(end, t.end);
    events.push_back(Slice(fmt::format("run {}", r + 1), "run", origin, origin + end));
    for (size_t i = 0; i < nodes.size(); ++i) {
      const CommandTime& t = profile.kept[r][i];
      if (t.end <= t.begin) continue;
      Json slice = Slice(nodes[i].name, "command", origin + t.begin, origin + t.end);
      slice["args"] = Arguments(nodes[i], t.end - t.begin);
      events.push_back(std::move(slice));
      events.push_back({{"name", "activations in use"},
                        {"ph", "C"},
                        {"pid", 1},
                        {"ts", (origin + t.begin) * 1e6},
                        {"args", {{"bytes", live[i]}}}});
    }
    origin += end + kGap;
  }
  Json trace{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}};
  std::ofstream out(path);
  out << trace.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  out.close();
  if (!out) return Status(Code::kIo, fmt::format("cannot write '{}'", path));
  return {};
}

}  // namespace sula::cli
