// The memory of a schedule whose kernels are known: what it comes to and where it lies.
#pragma once

#include <span>
#include <vector>

#include "runtime/prepare/memory_plan.h"
#include "runtime/prepare/schedule.h"

namespace sula {

// What the kernel of a step needs; nothing for other steps.
struct StepMemory {
  size_t workspace = 0;
  size_t constants = 0;      // held by the kernel
  std::vector<bool> unread;  // by input: constants that it has packed and reads no more
};
StepMemory MemoryOf(const Kernel& kernel, const Step& step, const Graph& graph);

struct BlockPlan {
  std::vector<size_t> bytes;   // by storage
  std::vector<bool> constant;  // by storage: constants that some step reads
  // What the arena holds, each with its owner: a storage or, for a workspace, -1 - step.
  std::vector<MemoryRequest> requests;
  std::vector<int> owners;
  size_t ports = 0;      // bytes of graph inputs and outputs
  size_t constants = 0;  // bytes of constants that are read, in kernels and in storages

  std::vector<size_t> LiveBytes(size_t steps) const;  // in the arena, by step
};

// steps: by step of the schedule.
BlockPlan PlanBlocks(const Schedule& schedule, std::span<const StepMemory> steps);

}  // namespace sula
