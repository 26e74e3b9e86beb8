#include "runtime/prepare/tune.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <set>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/cpu_info.h"
#include "runtime/prepare/requests.h"

namespace sula {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A candidate predicted to take so many times what another one took is not worth a run.
constexpr double kOutOfReach = 8;
// Fewest and most runs of a candidate, and the seconds after which the fewest suffice.
constexpr int kFewestRuns = 6, kMostRuns = 15;
constexpr double kEnoughSeconds = 0.1;

// How many times the best a candidate may take after that many runs and go on. The first run meets
// cold code and tables, and each run may meet other work on the machine, which only slows down.
double Patience(int runs) { return runs < 2 ? 4 : runs < 4 ? 2 : runs < 7 ? 1.3 : 1.1; }

struct Contender {
  Step step;  // nodes, backend and scheme
  double predicted = 0;
  std::unique_ptr<Kernel> kernel;
  int runs = 0;
  double least = 0;
  bool beaten = false, failed = false;

  bool active() const { return kernel && !beaten && !failed; }
};

// Memory to run one node in, and the caches as other nodes would leave them.
class Arena {
 public:
  Arena(const Ports& ports, int threads) : parallel_(threads) {
    ok_ = Add(ports.inputs, inputs_) && Add(ports.outputs, outputs_) &&
          Fit(other_, CpuInfo::Get().l2_bytes * static_cast<size_t>(threads));
    if (!ok_) return;
    for (size_t i = 0; i < ports.inputs.size(); ++i) {
      const Tensor* const constant = ports.constants[i];
      if (!constant && ports.inputs[i].present)
        FillForTiming(ports.inputs[i].dtype, ports.inputs[i].num_elements(), inputs_[i].data());
      read_.push_back(constant ? static_cast<const void*>(constant->raw()) : inputs_[i].data());
    }
    for (AlignedBuffer& output : outputs_) written_.push_back(output.data());
  }
  bool ok() const { return ok_; }

  // Seconds of one run; an error if the kernel tells of one or there is no room for its workspace.
  Result<double> Time(const Contender& contender) {
    if (!Fit(workspace_, contender.kernel->workspace_bytes()))
      return ResourceExhausted("no memory for a workspace");
    Settle();
    Status status;
    contender.step.backend->ExecuteBegin();
    const Clock::time_point start = Clock::now();
    contender.kernel->Run({.inputs = read_,
                           .outputs = written_,
                           .workspace = workspace_.data(),
                           .parallel = parallel_,
                           .status = &status});
    const double seconds = SecondsSince(start);
    contender.step.backend->ExecuteEnd();
    if (!status.ok()) return status;
    return seconds;
  }

 private:
  static constexpr size_t kLine = 64;

  static bool Fit(AlignedBuffer& buffer, size_t bytes) {
    if (bytes > buffer.bytes()) buffer = AlignedBuffer(bytes);
    return bytes == 0 || buffer.data() != nullptr;
  }

  bool Add(std::span<const TensorDesc> descs, std::vector<AlignedBuffer>& buffers) {
    for (const TensorDesc& desc : descs) {
      buffers.emplace_back();
      if (desc.present && !Fit(buffers.back(), std::max<size_t>(desc.SpanBytes(), kLine)))
        return false;
    }
    return true;
  }

  // Reads something else, then writes the inputs, on all threads.
  void Settle() {
    Touch(other_, false);
    for (AlignedBuffer& input : inputs_) Touch(input, true);
  }
  void Touch(AlignedBuffer& buffer, bool write) {
    const size_t lines = buffer.bytes() / kLine, threads = static_cast<size_t>(parallel_.threads());
    parallel_.For(static_cast<int64_t>(threads), [&](int64_t task, int) {
      const size_t part = static_cast<size_t>(task);
      for (size_t i = lines * part / threads; i < lines * (part + 1) / threads; ++i) {
        volatile std::byte* const line = buffer.as<std::byte>() + i * kLine;
        const std::byte value = *line;
        if (write) *line = value;
      }
    });
  }

  Parallel parallel_;
  bool ok_ = false;
  std::vector<AlignedBuffer> inputs_, outputs_;
  AlignedBuffer workspace_, other_;
  std::vector<const void*> read_;
  std::vector<void*> written_;
};

// Nodes, or chains of them, with one key.
struct Task {
  std::vector<NodeId> nodes;
  std::vector<Ports> ports;            // of each
  std::vector<std::string> node_keys;  // of each, of a chain
  Layout follow = Layout::kRowMajor;   // of kernels that take any
  std::vector<Contender> contenders;
  double stake = 0;  // predicted seconds of all these nodes in one run
  int count = 0;     // of nodes; none for chains
};

// Times the contenders of one task. False, and nothing is to be made of their times, if the
// deadline came first.
class Contest {
 public:
  Contest(const Graph& graph, Task& task, const SchemeOptions& options)
      : graph_(graph),
        options_(options),
        task_(task),
        contenders_(task.contenders),
        whole_(Joined(task.ports)),
        arena_(whole_, options.threads) {}

  bool Run(Clock::time_point deadline) {
    if (!arena_.ok()) return false;
    const Clock::time_point start = Clock::now();
    for (int round = 0; round < kMostRuns; ++round) {
      if (round >= kFewestRuns && (SecondsSince(start) > kEnoughSeconds || Active() == 0)) break;
      for (Contender& c : contenders_) {
        if (round == 0) Make(c);
        if (!c.active()) continue;
        if (Clock::now() > deadline) return round >= 2;
        RunOnce(c);
      }
      for (Contender& c : contenders_) c.beaten |= c.active() && c.least > Patience(c.runs) * best_;
    }
    return best_ < kNothing;
  }

 private:
  static constexpr double kNothing = 1e300;

  int Active() const {
    return static_cast<int>(std::count_if(contenders_.begin(), contenders_.end(),
                                          [](const Contender& c) { return c.active(); }));
  }

  void Make(Contender& c) {
    if (c.predicted > kOutOfReach * best_) return;
    std::vector<KernelRequest> requests;
    for (size_t i = 0; i < task_.nodes.size(); ++i)
      requests.push_back(task_.ports[i].Request(graph_.node(task_.nodes[i]), options_));
    const auto* const chain = std::get_if<const ChainEntry*>(&c.step.scheme);
    const PortNeeds needs =
        chain ? NeedsOf(**chain, whole_, {requests})
              : NeedsOf(*std::get<const KernelEntry*>(c.step.scheme), whole_, requests[0]);
    const PortLayouts layouts = LayoutsOf(whole_, needs, task_.follow);
    Result<std::unique_ptr<Kernel>> kernel = MakeKernel(
        graph_, c.step, With(whole_.inputs, layouts.inputs), With(whole_.outputs, layouts.outputs),
        options_, [](NodeId) -> PackSource* { return nullptr; });
    if (kernel) c.kernel = *std::move(kernel);
  }

  static std::vector<TensorDesc> With(std::span<const TensorDesc> descs,
                                      const std::vector<Layout>& layouts) {
    std::vector<TensorDesc> result;
    for (size_t k = 0; k < descs.size(); ++k)
      result.push_back(descs[k].present ? DenseDesc(descs[k].dtype, descs[k].dims, layouts[k])
                                        : TensorDesc{});
    return result;
  }

  void RunOnce(Contender& c) {
    const Result<double> seconds = arena_.Time(c);
    c.failed = !seconds;
    if (!seconds) return;
    c.least = c.runs == 0 ? *seconds : std::min(c.least, *seconds);
    ++c.runs;
    best_ = std::min(best_, c.least);
  }

  const Graph& graph_;
  const SchemeOptions& options_;
  Task& task_;
  std::vector<Contender>& contenders_;
  Ports whole_;
  Arena arena_;
  double best_ = kNothing;
};

// What there is to measure.
class Tasks {
 public:
  Tasks(const ConcreteGraph& graph, std::span<Backend* const> backends,
        const SchemeOptions& options)
      : graph_(graph.graph), backends_(backends), options_(options) {
    for (NodeId id : graph.order)
      for (ValueId v : graph_.node(id).inputs)
        if (v != kNoValue) readers_[v] = id;
  }

  // Chains that would do, and their nodes; of a schedule with chains.
  void AddChains(const Schedule& schedule) {
    for (const Step& step : schedule.steps) {
      if (step.kind != Step::Kind::kKernel) continue;
      for (const CandidateReport& c : step.report.candidates) {
        if (c.nodes == 1 || !c.refused.empty()) continue;
        std::vector<NodeId> nodes = {step.node};
        while (nodes.size() < static_cast<size_t>(c.nodes))
          nodes.push_back(readers_[graph_.node(nodes.back()).outputs[0]]);
        Task& task = At(nodes, step);
        chained_.insert(nodes.begin(), nodes.end());
        if (task.node_keys.empty())
          for (NodeId id : nodes) task.node_keys.push_back(Key({&id, 1}));
        for (Backend* backend : backends_)
          for (const ChainEntry& entry : backend->Chains())
            if (entry.name == c.kernel && backend->name() == c.backend)
              Add(task, backend, &entry, c.kernel_seconds);
      }
    }
  }

  // Nodes by themselves; of a schedule without chains.
  void AddNodes(const Schedule& schedule) {
    for (const Step& step : schedule.steps) {
      if (step.kind != Step::Kind::kKernel) continue;
      int choices = 0;
      for (const CandidateReport& c : step.report.candidates)
        choices += c.refused.empty() && c.backend != backends_.back()->name();
      if (choices < (chained_.contains(step.node) ? 1 : 2)) continue;
      Task& task = At({step.node}, step);
      task.stake += step.report.seconds;
      ++task.count;
      for (Backend* backend : backends_.first(backends_.size() - 1))
        for (const KernelEntry& entry : backend->Kernels(*graph_.node(step.node).op))
          for (const CandidateReport& c : step.report.candidates)
            if (c.refused.empty() && c.backend == backend->name() && c.kernel == entry.name)
              Add(task, backend, &entry, c.kernel_seconds);
    }
  }

  // Those with most at stake first, chains after their nodes.
  std::vector<std::pair<const std::string*, Task*>> InOrder() {
    std::vector<std::pair<const std::string*, Task*>> tasks;
    for (auto& [key, task] : by_key_) {
      std::stable_sort(
          task.contenders.begin(), task.contenders.end(),
          [](const Contender& a, const Contender& b) { return a.predicted < b.predicted; });
      tasks.emplace_back(&key, &task);
    }
    const auto urgency = [&](const Task& task) {
      double least = task.node_keys.empty() ? task.stake : 1e300;
      for (const std::string& key : task.node_keys) least = std::min(least, by_key_[key].stake);
      return std::pair(least, task.node_keys.empty());
    };
    std::stable_sort(tasks.begin(), tasks.end(), [&](const auto& a, const auto& b) {
      return urgency(*a.second) > urgency(*b.second);
    });
    return tasks;
  }

 private:
  std::string Key(std::span<const NodeId> nodes) const {
    std::vector<Ports> ports;
    std::vector<KernelRequest> requests;
    for (NodeId id : nodes) ports.push_back(PortsOf(graph_, id));
    for (size_t i = 0; i < nodes.size(); ++i)
      requests.push_back(ports[i].Request(graph_.node(nodes[i]), options_));
    return KeyOf(requests);
  }

  Task& At(const std::vector<NodeId>& nodes, const Step& step) {
    Task& task = by_key_[Key(nodes)];
    if (!task.nodes.empty()) return task;
    task.nodes = nodes;
    for (NodeId id : nodes) task.ports.push_back(PortsOf(graph_, id));
    for (const auto* uses : {&step.inputs, &step.outputs})
      for (const FormUse& use : *uses)
        if (use.layout == Layout::kChannelLast) task.follow = Layout::kChannelLast;
    return task;
  }

  static void Add(Task& task, Backend* backend, Scheme scheme, double predicted) {
    for (const Contender& known : task.contenders)
      if (known.step.scheme == scheme) return;
    Contender& contender = task.contenders.emplace_back();
    contender.step.node = task.nodes[0];
    contender.step.rest.assign(task.nodes.begin() + 1, task.nodes.end());
    contender.step.backend = backend;
    contender.step.scheme = scheme;
    contender.predicted = predicted;
  }

  const Graph& graph_;
  std::span<Backend* const> backends_;
  const SchemeOptions& options_;
  std::map<ValueId, NodeId> readers_;  // of values with one
  std::set<NodeId> chained_;           // nodes of chains
  std::map<std::string, Task> by_key_;
};

// Seconds of a budget that are left for whole plans.
double ForPlans(double budget, double predicted_run) {
  return std::min(budget / 2, std::max(budget / 4, 10 * predicted_run));
}

}  // namespace

void FillForTiming(DType dtype, int64_t elements, void* data) {
  if (dtype != DType::kFloat32) {
    std::memset(data, 0, static_cast<size_t>(elements) * SizeOf(dtype));
    return;
  }
  uint32_t state = 1;
  float* const floats = static_cast<float*>(data);
  for (int64_t i = 0; i < elements; ++i) {
    state = state * 1664525 + 1013904223;
    floats[i] = static_cast<float>(static_cast<int32_t>(state | 1 << 16)) * 0x1p-31f;
  }
}

Result<SchemeTimes> MeasureSchemes(const ConcreteGraph& graph, std::span<Backend* const> backends,
                                   const SchemeOptions& schemes, const TuneOptions& options,
                                   TuneReport& report) {
  const Clock::time_point start = Clock::now();
  Tasks all(graph, backends, schemes);
  SchemeOptions apart = schemes;
  apart.chains = false;
  if (schemes.chains) {
    ASSIGN_OR_RETURN(const Schedule with_chains, ChooseSchemes(graph, backends, schemes));
    all.AddChains(with_chains);
  }
  ASSIGN_OR_RETURN(const Schedule without, ChooseSchemes(graph, backends, apart));
  all.AddNodes(without);
  const auto tasks = all.InOrder();

  report = {.budget_seconds = options.seconds};
  report.distinct_nodes = static_cast<int>(tasks.size());
  for (const auto& [key, task] : tasks) {
    report.nodes += task->count;
    report.predicted_seconds += task->stake;
  }
  const double budget = std::clamp(options.seconds, 0.0, 1e6);
  const Clock::time_point deadline =
      start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                  budget - ForPlans(budget, report.predicted_seconds)));
  SchemeTimes times;
  std::set<std::string> measured;
  for (const auto& [key, task] : tasks) {
    if (Clock::now() > deadline) break;
    const bool complete =
        std::all_of(task->node_keys.begin(), task->node_keys.end(),
                    [&](const std::string& node) { return measured.contains(node); });
    if (!complete) continue;  // there is nothing to hold a chain against
    const Node& node = graph.graph.node(task->nodes[0]);
    if (options.on_progress)
      options.on_progress({.node = node.name,
                           .op = std::string(node.op->name),
                           .measured = report.measured_nodes,
                           .distinct_nodes = report.distinct_nodes,
                           .seconds = SecondsSince(start)});
    const bool done = Contest(graph.graph, *task, schemes).Run(deadline);
    for (Contender& c : task->contenders) {
      c.kernel.reset();
      if (!done || c.runs == 0) continue;
      times.Set(*key, c.step.scheme, c.least);
      ++report.candidates;
      report.runs += c.runs;
    }
    if (!done) continue;
    measured.insert(*key);
    ++report.measured_nodes;
    report.covered_seconds += task->stake;
  }
  report.seconds = SecondsSince(start);
  return times;
}

}  // namespace sula
