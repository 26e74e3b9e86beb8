#include "workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "timing.h"

namespace sula::cli {

Result<Workload> OpenWorkload(const std::string& path, const WorkloadOptions& o,
                              Progress& progress) {
  const auto start = std::chrono::steady_clock::now();
  auto model = OpenModel(path, progress, o.optimize);
  const std::chrono::duration<double> load = std::chrono::steady_clock::now() - start;
  if (!model) return model.error();
  Result<ModelInfo> info = Inspect(**model);
  if (!info) return info.error();
  Result<InputShapes> shapes = ParseInputShapes(o.input_shapes, *info);
  if (!shapes) return shapes.error();
  Workload w{.shapes = std::move(shapes).value(), .load_seconds = load.count()};
  if (o.make_inputs || !o.input.empty()) {
    Result<std::vector<Array>> inputs =
        o.input.empty() ? MakeInputs(*info, w.shapes) : ReadInputFolder(o.input, *info);
    if (!inputs) return inputs.error();
    w.inputs = std::move(inputs).value();
    w.shapes = ShapesOf(*info, w.inputs);
  }
  model = FitModel(*model, *info, path, w.shapes, progress, o.optimize);
  if (!model) return model.error();
  w.model = *model;
  info = Inspect(*w.model, w.shapes);
  if (!info) return info.error();
  w.info = std::move(info).value();
  return w;
}

Result<Workload> OpenWorkloadLike(const Workload& other, const std::string& path, bool optimize,
                                  Progress& progress) {
  auto model = OpenModel(path, progress, optimize);
  if (!model) return model.error();
  Result<ModelInfo> info = Inspect(**model);
  if (!info) return info.error();
  const auto mismatch = [&](const std::string& what) {
    return Status(Code::kInvalidArgument,
                  fmt::format("the models do not take the same inputs: {}", what));
  };
  const std::vector<ValueInfo>& theirs = other.info.inputs;
  if (info->inputs.size() != theirs.size())
    return mismatch(
        fmt::format("one has {}, '{}' has {}", theirs.size(), path, info->inputs.size()));
  Workload w;
  for (size_t i = 0; i < info->inputs.size(); ++i) {
    const ValueInfo& input = info->inputs[i];
    const auto named = std::find_if(theirs.begin(), theirs.end(),
                                    [&](const ValueInfo& v) { return v.name == input.name; });
    const size_t from = named == theirs.end() ? i : static_cast<size_t>(named - theirs.begin());
    if (Status s = CheckInput(other.inputs[from], input, theirs[from].name); !s.ok())
      return mismatch(s.message());
    w.inputs.push_back(other.inputs[from]);
  }
  w.shapes = ShapesOf(*info, w.inputs);
  model = FitModel(*model, *info, path, w.shapes, progress, optimize);
  if (!model) return model.error();
  w.model = *model;
  info = Inspect(*w.model, w.shapes);
  if (!info) return info.error();
  w.info = std::move(info).value();
  return w;
}

Result<std::unique_ptr<Session>> OpenSession(const Workload& w, const SessionOptions& options) {
  auto session = Session::Create(w.model, options, w.shapes);
  if (!session) return session;
  if (Status s = BindInputs(**session, w.inputs); !s.ok()) return s;
  return session;
}

}  // namespace sula::cli
