// Inside of a plan, shared by its builder and its executor.
#pragma once

#include <memory>
#include <vector>

#include "runtime/plan.h"

namespace sula {

// A pointer in the table: where it comes from, so that it can be set again when a block moves.
struct PointerOrigin {
  int block = -1;  // -1: stays null
  size_t offset = 0;
};

// Ports of a command, as ranges of the pointer table.
struct PointerRange {
  int first = 0, count = 0;
};

struct Command {
  enum class Kind { kKernel, kCopy, kDynamic } kind = Kind::kKernel;
  int report = 0;  // its NodeReport
  PointerRange inputs, outputs;
  const Kernel* kernel = nullptr;
  void* workspace = nullptr;
  Backend* backend = nullptr;
  int detail = -1;  // into copies (the first of as many as there are inputs) or dynamics
};

struct CopyCommand {
  TensorDesc from, to;  // from a null pointer: zeros, with strides of 0
};

struct DynamicCommand {
  NodeId node = kNoNode;
  std::vector<TensorDesc> inputs, outputs;  // present where planned memory holds the value
  std::vector<ValueId> release;             // dynamic values read for the last time
};

// A graph input or output.
struct PlanPort {
  Dims dims;
  int block = -1;  // -1: an output of dynamic size
  ValueId value = kNoValue;
  void* own = nullptr;  // the plan's memory for it
};

struct Plan::Impl {
  Graph graph;  // what dynamic commands and error messages need
  std::vector<std::unique_ptr<Kernel>> kernels;
  std::vector<std::shared_ptr<const Tensor>> constants;  // read at run time
  std::vector<Backend*> backends;
  std::vector<DeviceBuffer> buffers;  // of backends[0]
  int threads = 1;

  std::vector<Command> commands;
  std::vector<CopyCommand> copies;
  std::vector<DynamicCommand> dynamics;

  std::vector<void*> blocks;  // base address of each storage
  std::vector<void*> pointers;
  std::vector<PointerOrigin> origins;            // by pointer
  std::vector<std::vector<int>> block_pointers;  // pointers into each block
  std::vector<PlanPort> inputs, outputs;
  std::vector<Tensor> tensors;  // dynamic values, by value id

  PlanReport report;
  std::vector<NodeScheme> schemes;
  std::vector<CommandTime> times;  // of the last profiled run, by report

  ~Impl() {
    for (const DeviceBuffer& buffer : buffers) backends[0]->ReleaseBuffer(buffer);
  }
  // Gives a block another address.
  void Move(int block, void* base);
  // Runs the commands in order; stops at the first error.
  Status Execute(bool profile);
  Status Execute(const Command& command);
  Status ExecuteDynamic(const Command& command);
};

}  // namespace sula
