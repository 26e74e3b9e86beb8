// Session: a model made ready for one device and one set of input shapes, and its runs.
//
//   auto model = sula::LoadModel("net.sula");
//   auto session = sula::Session::Create(*model);
//   (*session)->BindInput(0, pixels);
//   (*session)->Run();
//   auto* scores = static_cast<const float*>((*session)->output_data(0));
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sula/model.h"
#include "sula/status.h"
#include "sula/tensor.h"

#pragma GCC visibility push(default)
namespace sula {

// Where a measured search (SessionOptions::tune_seconds) stands.
struct TuneProgress {
  std::string node, op;                  // whose kernels are timed now
  int measured = 0, distinct_nodes = 0;  // done and in all; equal nodes count once
  double seconds = 0;                    // since the beginning
};
using TuneCallback = std::function<void(const TuneProgress&)>;

struct SessionOptions {
  int threads = 0;      // 0: AvailableCpus()
  std::string backend;  // "": the best of the machine (cpu, then reference); "cpu",
                        // "reference" or "null": that one, with reference as fallback
  // Limit of PlanReport::total_bytes; 0: none. Where the fastest plan needs more, kernels that need
  // less memory take the place of others, those that cost the least time first; prepare fails if
  // that does not suffice. The limit holds for each plan of the cache by itself.
  size_t max_bytes = 0;
  bool chains = true;  // false: no kernel computes several nodes at once
  // Kernels that save arithmetic at the cost of accuracy (Winograd's) are left out where the
  // largest error to be expected of a layer's output, relative to its largest value, is beyond
  // this. Sums in float have errors of about 5e-7 whatever the kernel. From 1e-7 to 1e-3.
  double max_error = 1e-5;
  // Seconds for timing kernels in each prepare for new shapes; 0: choose by estimates alone. The
  // kernels of nodes that have a choice are timed, those with most at stake first; what was
  // measured takes the place of the estimates, and PlanReport::tune says how much that is.
  double tune_seconds = 0;
  TuneCallback on_tune;  // called before each node that is timed, by the thread that prepares
  // A scheme lock: the text that Session::Schemes gave. Prepare takes the kernels and layouts it
  // names, whatever the estimates say, and measures nothing. It must have been made for this model,
  // these input shapes, this number of threads, this kind of processor and instruction set; what
  // differs is named in an error, and so is a kernel that does not exist or refuses its node.
  std::string schemes;
  // True: a lock that does not fit is no error; what of it does fit is used (nodes are told by
  // their names), and the rest is searched. A text that is no scheme lock stays an error.
  bool adapt_schemes = false;
  int plan_cache = 4;  // plans kept for recently used input shapes, at least 1
  // Names of values (see Nodes) that are returned as well, after the model's own outputs and in
  // this order: to look inside. They are what the model holds: values that the conversion fused
  // into others are not there. Each costs its memory and, in an unusual layout, a copy.
  std::vector<std::string> extra_outputs;
  // Where weights are kept as kernels want them, so that later loads of the model need not pack
  // them again and the processes that use them share their memory. A folder (it exists, or the name
  // ends in '/'), which gets one file for each model and kind of processor, made anew whenever it
  // does not fit; or a file, which is made if it does not exist and refused if it does not fit.
  // What a plan lacks is added. Empty: none. For models from .sula files.
  std::string pack_cache;
  // Also compares every pack of the file with its hash, which reads all of it. Without it what the
  // file says of itself is checked, and the parts that a run touches are all that is ever read.
  bool check_packs = false;
};

// ---- what `explain` and `profile` show
struct CandidateReport {
  std::string backend, kernel;
  std::string refused;  // the reason; empty if it would do
  double seconds = 0;   // with the layout copies it would need, if not refused: what is compared
  double kernel_seconds = 0;    // estimate of the kernel alone
  double measured_seconds = 0;  // of the kernel alone, measured by tuning; 0: not measured
  int nodes = 1;                // that it would compute: this one and those that follow it
  double seconds_apart = 0;     // nodes > 1: of the best kernels for each of them, with copies
};
struct NodeReport {
  std::string name, op;            // of a chain: its first node's name, "Conv + Conv"
  std::vector<std::string> chain;  // names of further nodes that the kernel computes as well
  std::vector<std::pair<std::string, std::string>> fields;  // those that differ from their default
  std::vector<std::string> inputs, outputs;                 // "float32[1,3,224,224] channel-last"
  std::vector<std::string> input_values, output_values;     // their names; "" where absent
  std::vector<int> producers;  // by input: the command that wrote it, as index into
                               // PlanReport::nodes; -1: a graph input, a constant or absent
  std::string backend, kernel, detail;  // chosen; kernel is "alias" for a free reinterpretation,
                                        // "merged" for movement that is part of later copies (of
                                        // kernel "copy" or, of several boxes, "move"),
                                        // "dynamic" for a node whose sizes only the run tells
  double seconds = 0;                   // estimate of the kernel alone
  double flops = 0, bytes = 0;          // bytes: of what is read and written, each once; of a
                                        // chain without what its nodes hand on to each other
  size_t workspace_bytes = 0, constant_bytes = 0;
  std::vector<CandidateReport> candidates;
  bool locked = false;  // the kernel was chosen by a scheme lock
  // Filled by profiled runs:
  int64_t runs = 0;
  double min_seconds = 0, total_seconds = 0;
};
struct TensorPlacement {
  std::string name;
  size_t offset = 0, bytes = 0;
  int first_command = 0, last_command = 0;  // lifetime, inclusive
};
// Which plan a measured search ended with.
enum class TuneOutcome : uint8_t {
  kNone,        // nothing was measured
  kSame,        // measuring changed no choice
  kTuned,       // that of the fastest kernels
  kUntuned,     // that of the estimates: as a whole it is as fast, or faster
  kUncompared,  // the same, for want of time, or because runs on made-up inputs fail
};
// What a measured search did.
struct TuneReport {
  double budget_seconds = 0, seconds = 0;  // allowed, taken
  int nodes = 0;                           // with a choice of kernels
  int distinct_nodes = 0;                  // the same, equal ones once
  int measured_nodes = 0;                  // of those
  double predicted_seconds = 0;            // of a run of all `nodes`
  double covered_seconds = 0;              // of these, nodes whose kernels were measured
  int candidates = 0, runs = 0;            // kernels that were timed, and how often in all
  // Kernels that are fastest by themselves need not be so together: the plan of the fastest kernels
  // and the one of the estimates alone run in turns, and the faster one is kept.
  TuneOutcome outcome = TuneOutcome::kNone;
  double tuned_run_seconds = 0, untuned_run_seconds = 0;  // least; 0: not compared
};
struct PlanReport {
  std::vector<NodeReport> nodes;            // commands in order, layout copies included (op "Copy")
  std::vector<TensorPlacement> placements;  // in the arena
  size_t arena_bytes = 0;                   // peak of activations and workspace: what is allocated
  size_t lower_bound_bytes = 0;             // no plan can need less: largest sum of live tensors
  size_t constant_bytes = 0;                // packed weights and constants kept
  size_t borrowed_bytes = 0;                // of these, read where the model or its file has them
  size_t mapped_bytes = 0;  // of these, in the pack cache's file, which all processes
                            // that use it share
  size_t shared_bytes = 0;  // of these, packed before, for another session of the
                            // model or another node with the same weights
  size_t port_bytes = 0;    // the session's memory for inputs and outputs
  // arena, constants and ports: what a run touches. All but borrowed_bytes, mapped_bytes and
  // shared_bytes is allocated by the session, which needs some hundred bytes for each node beyond
  // that.
  size_t total_bytes = 0;
  int threads = 1;
  std::string
      pack_cache;        // "read from 'PATH'", "written to 'PATH'", "not kept: REASON"; "" without
  TuneReport tune;       // zeros without tuning
  int locked_nodes = 0;  // whose kernels a scheme lock chose
};

// When a command ran, in seconds since the beginning of its run; both 0 for what needed no work.
struct CommandTime {
  double begin = 0, end = 0;
};

// One inference context. Not for use from two threads at once; several sessions of one model are.
class Session {
 public:
  // Prepares for these input shapes: infer, fold, assign layouts, choose kernels, pack weights,
  // plan memory. Errors name node, operator and shapes.
  static Result<std::unique_ptr<Session>> Create(std::shared_ptr<const Model> model,
                                                 const SessionOptions& options = {},
                                                 const InputShapes& shapes = {});
  ~Session();

  // Makes the session ready for other input shapes; a plan of recently used shapes is taken from
  // the cache, together with its packed weights. On error the session stays as it was. Outputs and
  // bindings of before are void.
  Status Resize(const InputShapes& shapes);

  int num_inputs() const;
  int num_outputs() const;
  const std::string& input_name(int i) const;
  const std::string& output_name(int i) const;
  DType input_type(int i) const;
  DType output_type(int i) const;
  const Dims& input_dims(int i) const;
  // Valid after prepare, or, where the size depends on the data, after each Run.
  const Dims& output_dims(int i) const;

  // The session's own input memory, dense row-major, to be filled before Run. Valid until Resize.
  void* input_data(int i);
  // Reads input i from `data` (dense row-major, input_dims, must stay valid during Run) instead;
  // null returns to the session's own memory. Bound memory of different inputs and outputs must not
  // overlap where one of them is an output.
  Status BindInput(int i, const void* data);
  // Writes output i to `data` (room for output_dims) instead of the session's memory. Refused for
  // outputs whose size depends on the data.
  Status BindOutput(int i, void* data);
  // Results of the last Run, dense row-major. Valid until the next Run or Resize.
  const void* output_data(int i) const;

  // Pure compute. Fails only for data-dependent reasons (an index out of range in a dynamic part).
  Status Run();

  // Times each command of following runs when on; costs two clock reads a command.
  void SetProfiling(bool on);
  PlanReport Report() const;
  // The kernels and layouts of the plan in use as a scheme lock: text, one line a node, for
  // SessionOptions::schemes of a later session. Keep it in a file beside the model.
  Result<std::string> Schemes() const;
  // The last profiled run, in the order of PlanReport::nodes; zeros before there is one. Valid
  // until Resize; the next profiled run overwrites it.
  std::span<const CommandTime> LastTimes() const;

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sula
#pragma GCC visibility pop
