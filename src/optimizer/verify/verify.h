// Proof by example that changes of a graph keep its numbers: each change is run on the reference
// interpreter before and after, with the same inputs.
//
// A change is judged by itself. What it replaces and what takes its place are computed from the
// same values, those of the imported model, so that errors neither add up nor cancel over many
// changes, and the cost is that of the nodes the change adds. At the end the whole graph is run
// once more against the imported one.
//
// How far the numbers may differ. Integers and bools have to be equal, NaN meets NaN, an infinity
// the same infinity. Every operator of the interpreter sums in double precision and rounds its
// result to the element type once, with a relative error of at most u (2^-24 for float32), and a
// weight that a rule computes is rounded once. A difference of k roundings that meet numbers of
// the size of the largest result is k * u relative to it; 256 of them are always allowed. Where
// more differs, the arithmetic itself may amplify errors (a difference of large numbers, a
// division by a small one). So the nodes that were replaced are run with every number that they
// read or compute moved by one unit in the last place, up or down at random, and 32 times the
// largest difference that this makes is allowed: what the imported model does not determine, no
// rule can get wrong. (Stochastic arithmetic: J. Vignes, "A stochastic arithmetic for reliable
// scientific computation", 1993.) Differences below 1e-30 are none.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/patch.h"
#include "optimizer/verify/sample_inputs.h"
#include "optimizer/verify/value_store.h"

namespace sula {

struct VerifyReport {
  uint64_t seed = 0;
  std::string inputs;     // what the graph was run with
  int64_t checked = 0;    // changes whose numbers were compared
  int64_t unchecked = 0;  // changes of what does not run with these inputs, such as dead branches
  std::string unchecked_reason;  // of the first of them
  double largest_error = 0;      // relative to the largest element of the tensor
  std::string largest_error_at;  // the change
};

class NumbersWatch {
 public:
  // Finds inputs with which the graph runs and gives finite numbers. kUnsupported, with the last
  // error and the remedy, if none of those tried do.
  static Result<NumbersWatch> Create(const Graph& graph, uint64_t seed);
  // For a graph, such as a body, whose inputs are known.
  NumbersWatch(const Graph& graph, std::vector<Tensor> inputs);

  // Around each patch and each pass. After... names what differs, by rule, node and value.
  void BeforePatch(const Graph& graph, const Patch& patch);
  Status AfterPatch(const Graph& graph, std::string_view rule, std::string_view step);
  void BeforePass(const Graph& graph);
  Status AfterPass(const Graph& graph, std::string_view pass);

  // The tensor of a value, as inputs of a body.
  Result<Tensor> Get(const Graph& graph, ValueId v) { return store_.Get(graph, v); }
  // Counts changes whose numbers cannot be compared.
  void CannotCheck(const Status& why, int64_t changes = 1);
  // Takes over what a watch on a body found.
  void Absorb(const VerifyReport& body);

  // Runs the whole graph and compares its outputs with those of the imported one; with symbolic
  // sizes also for other sizes, where the imported one runs with them.
  Status Finish(const Graph& graph);
  const VerifyReport& report() const { return report_; }

 private:
  // A value before a change, and the nodes that lead to it from what stays.
  struct Replaced {
    ValueId from = kNoValue, to = kNoValue;
    std::string name;
    Tensor tensor;
    std::vector<Node> nodes;
  };

  // An error if `after` is not what `before` was, as far as roundings tell.
  Status Judge(const Graph& graph, const Replaced& before, const Tensor& after,
               std::string_view rule, std::string_view step);
  Status CompareRun(const Graph& graph, const std::vector<Tensor>& inputs,
                    const std::vector<Tensor>& expected);

  std::shared_ptr<const Graph> original_;
  SampleKind kind_;
  std::vector<Tensor> inputs_, outputs_;  // of the imported graph
  ValueStore store_;
  VerifyReport report_;
  std::vector<Replaced> replaced_;  // by the patch that is being applied
  std::shared_ptr<const Graph> before_pass_;
  bool patch_unchecked_ = false;
};

}  // namespace sula
