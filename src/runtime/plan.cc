// Running a plan.
#include "runtime/plan.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "ops/catalogue.h"
#include "runtime/plan_impl.h"

namespace sula {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

void AddTime(NodeReport& report, CommandTime time) {
  const double seconds = time.end - time.begin;
  report.min_seconds = report.runs == 0 ? seconds : std::min(report.min_seconds, seconds);
  report.total_seconds += seconds;
  ++report.runs;
}

// True if a tensor's bytes are those of another one: a body of control flow may hand an input on.
bool SharesBytes(const Tensor& tensor, const Tensor& other) {
  return tensor.raw() >= other.raw() && tensor.raw() < other.raw() + other.bytes();
}

}  // namespace

Plan::Plan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Plan::~Plan() = default;

const Dims& Plan::input_dims(int i) const { return impl_->inputs[i].dims; }
const Dims& Plan::output_dims(int i) const {
  const PlanPort& port = impl_->outputs[i];
  return port.block >= 0 ? port.dims : impl_->tensors[port.value].dims();
}
bool Plan::output_is_dynamic(int i) const { return impl_->outputs[i].block < 0; }
void* Plan::input_data(int i) { return impl_->inputs[i].own; }
const void* Plan::output_data(int i) const {
  const PlanPort& port = impl_->outputs[i];
  return port.block >= 0 ? impl_->blocks[port.block]
                         : static_cast<const void*>(impl_->tensors[port.value].raw());
}
const PlanReport& Plan::report() const { return impl_->report; }
const std::vector<NodeScheme>& Plan::schemes() const { return impl_->schemes; }
std::span<const CommandTime> Plan::times() const { return impl_->times; }

void Plan::BindInput(int i, const void* data) {
  const PlanPort& port = impl_->inputs[i];
  // Commands only read a graph input's block.
  impl_->Move(port.block, data ? const_cast<void*>(data) : port.own);
}

void Plan::BindOutput(int i, void* data) {
  const PlanPort& port = impl_->outputs[i];
  SULA_CHECK(port.block >= 0);
  impl_->Move(port.block, data ? data : port.own);
}

void Plan::Unbind() {
  for (const auto* ports : {&impl_->inputs, &impl_->outputs})
    for (const PlanPort& port : *ports)
      if (port.block >= 0) impl_->Move(port.block, port.own);
}

Status Plan::Run(bool profile) {
  for (Backend* backend : impl_->backends) backend->ExecuteBegin();
  Status status = impl_->Execute(profile);
  for (Backend* backend : impl_->backends) backend->ExecuteEnd();
  return status;
}

void Plan::Impl::Move(int block, void* base) {
  if (blocks[block] == base) return;
  blocks[block] = base;
  for (int p : block_pointers[block])
    pointers[p] = static_cast<std::byte*>(base) + origins[p].offset;
}

Status Plan::Impl::Execute(bool profile) {
  const Clock::time_point start = profile ? Clock::now() : Clock::time_point();
  for (const Command& command : commands) {
    const Clock::time_point begin = profile ? Clock::now() : Clock::time_point();
    if (Status status = Execute(command); !status.ok()) {
      const NodeReport& node = report.nodes[command.report];
      return std::move(status).AddContext(StrCat("node '", node.name, "' (", node.op, ")"));
    }
    if (profile) {
      times[command.report] = {Seconds(begin - start), Seconds(Clock::now() - start)};
      AddTime(report.nodes[command.report], times[command.report]);
    }
  }
  return {};
}

Status Plan::Impl::Execute(const Command& command) {
  const Parallel parallel(threads);
  void** const in = pointers.data() + command.inputs.first;
  void** const out = pointers.data() + command.outputs.first;
  switch (command.kind) {
    case Command::Kind::kCopy: {
      static constexpr uint64_t kZeros = 0;
      for (int i = 0; i < command.inputs.count; ++i) {
        const CopyCommand& copy = copies[command.detail + i];
        RETURN_IF_ERROR(command.backend->CopyBuffer(copy.from, in[i] ? in[i] : &kZeros, copy.to,
                                                    out[i], parallel));
      }
      return {};
    }
    case Command::Kind::kDynamic: return ExecuteDynamic(command);
    case Command::Kind::kKernel: break;
  }
  Status status;
  command.kernel->Run({.inputs = {in, static_cast<size_t>(command.inputs.count)},
                       .outputs = {out, static_cast<size_t>(command.outputs.count)},
                       .workspace = command.workspace,
                       .parallel = parallel,
                       .status = &status});
  return status;
}

Status Plan::Impl::ExecuteDynamic(const Command& command) {
  const DynamicCommand& dynamic = dynamics[command.detail];
  const Node& node = graph.node(dynamic.node);
  std::vector<Tensor> planned(node.inputs.size());
  std::vector<const Tensor*> in(node.inputs.size(), nullptr);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueId v = node.inputs[i];
    if (v == kNoValue) continue;
    if (const TensorDesc& desc = dynamic.inputs[i]; desc.present) {
      planned[i] = Tensor::Borrow(desc.dtype, desc.dims,
                                  pointers[command.inputs.first + static_cast<int>(i)], nullptr);
      in[i] = &planned[i];
    } else if (const Tensor* constant = graph.Constant(v)) {
      in[i] = constant;
    } else {
      in[i] = &tensors[v];
    }
  }
  ASSIGN_OR_RETURN(std::vector<Tensor> results, EvaluateNode(node, in));
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!node.HasOutput(i)) continue;
    const TensorDesc& desc = dynamic.outputs[i];
    if (!desc.present) {
      const bool borrows = std::any_of(planned.begin(), planned.end(),
                                       [&](const Tensor& t) { return SharesBytes(results[i], t); });
      tensors[node.outputs[i]] = borrows ? results[i].Clone() : std::move(results[i]);
    } else if (results[i].dtype() == desc.dtype && results[i].dims() == desc.dims) {
      if (results[i].bytes() > 0)
        std::memcpy(pointers[command.outputs.first + static_cast<int>(i)], results[i].raw(),
                    results[i].bytes());
    } else {
      return InvalidArgument("output ", i, " came out as ", Name(results[i].dtype()),
                             ToString(results[i].dims()), ", inferred was ", desc.ToString());
    }
  }
  for (ValueId v : dynamic.release) tensors[v] = Tensor();
  return {};
}

}  // namespace sula
