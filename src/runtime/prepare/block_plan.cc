#include "runtime/prepare/block_plan.h"

#include "base/aligned_buffer.h"

namespace sula {

StepMemory MemoryOf(const Kernel& kernel, const Step& step, const Graph& graph) {
  StepMemory memory{kernel.workspace_bytes(), kernel.constant_bytes(), {}};
  const std::vector<ValueId> inputs = InputValues(graph, step);
  for (size_t i = 0; i < inputs.size(); ++i)
    memory.unread.push_back(graph.Constant(inputs[i]) &&
                            !kernel.ReadsConstant(static_cast<int>(i)));
  return memory;
}

std::vector<size_t> BlockPlan::LiveBytes(size_t steps) const {
  std::vector<size_t> live(steps, 0);
  for (const MemoryRequest& r : requests)
    for (int s = r.first; s <= r.last; ++s) live[s] += AlignUp(r.bytes);
  return live;
}

BlockPlan PlanBlocks(const Schedule& schedule, std::span<const StepMemory> steps) {
  BlockPlan plan;
  plan.bytes = StorageBytes(schedule);
  plan.constant.assign(schedule.storages.size(), false);
  for (size_t i = 0; i < schedule.steps.size(); ++i) {
    const Step& step = schedule.steps[i];
    plan.constants += steps[i].constants;
    if (step.kind == Step::Kind::kAlias) continue;
    for (size_t k = 0; k < step.inputs.size(); ++k) {
      const int form = step.inputs[k].form;
      if (form < 0 || (k < steps[i].unread.size() && steps[i].unread[k])) continue;
      const int storage = schedule.forms[form].storage;
      if (schedule.storages[storage].place == Place::kConstant) plan.constant[storage] = true;
    }
  }
  const std::vector<Lifetime> lifetimes = Lifetimes(schedule);
  for (size_t b = 0; b < schedule.storages.size(); ++b) {
    const Place place = schedule.storages[b].place;
    if (plan.constant[b]) plan.constants += plan.bytes[b];
    if (place == Place::kInput || place == Place::kOutput) plan.ports += plan.bytes[b];
    if (place != Place::kArena || lifetimes[b].last < 0) continue;
    plan.requests.push_back({plan.bytes[b], lifetimes[b].first, lifetimes[b].last});
    plan.owners.push_back(static_cast<int>(b));
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].workspace == 0) continue;
    const int step = static_cast<int>(i);
    plan.requests.push_back({steps[i].workspace, step, step});
    plan.owners.push_back(-1 - step);
  }
  return plan;
}

}  // namespace sula
