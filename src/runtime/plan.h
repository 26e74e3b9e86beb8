// A plan: a graph made ready for one set of input shapes. Memory is acquired, kernels are created,
// and what is left is a flat list of commands.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "ir/graph.h"
#include "runtime/packs.h"
#include "runtime/prepare/scheme_lock.h"
#include "runtime/prepare/tune.h"
#include "sula/session.h"

namespace sula {

struct PlanOptions {
  int threads = 1;
  size_t max_bytes = 0;     // 0: no limit
  double max_error = 1e-5;  // SessionOptions::max_error
  bool pad_pixels = false;  // PaddedPixelStride for channel-last maps
  bool chains = true;       // see SessionOptions
  // Of the model: packs shared with its other plans; null: shares nothing.
  PackStore* packs = nullptr;
  PackCache* pack_cache = nullptr;     // null: none
  const MappedFile* source = nullptr;  // that constants borrow from, if it is one
  // Under which the pack cache is to keep what was chosen, as a scheme lock; empty: not at all.
  std::string choice_key;
  bool kept_choice = false;  // `lock` is what the pack cache kept, and nobody's order
  TuneOptions tune;          // no measuring without seconds, nor with a lock that is not adapted
  // What has been measured before; see SchemeOptions. Not with `tune`.
  const SchemeTimes* times = nullptr;
  bool times_decide = true;
  // Its scope must have been checked; see SchemeOptions. Outlives Make.
  const SchemeLock* lock = nullptr;
  bool adapt_lock = false;
};

class Plan {
 public:
  // With tuning, two plans exist for as long as they are compared (TuneReport).
  // input_types: concrete, in graph order (ConcreteInputTypes). The backends must outlive the plan;
  // the first one does layout copies and owns the memory, the last one takes every node. All must
  // address the host's memory. Errors name node, operator and shapes.
  static Result<std::unique_ptr<Plan>> Make(const Graph& model,
                                            const std::vector<TensorType>& input_types,
                                            std::span<Backend* const> backends,
                                            const PlanOptions& options);
  ~Plan();
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  // See Session. Sizes of outputs that depend on the data are empty before the first run.
  const Dims& input_dims(int i) const;
  const Dims& output_dims(int i) const;
  bool output_is_dynamic(int i) const;
  void* input_data(int i);
  const void* output_data(int i) const;
  // Null returns to the plan's own memory. BindOutput: not for outputs of dynamic size.
  void BindInput(int i, const void* data);
  void BindOutput(int i, void* data);
  void Unbind();  // all of them

  Status Run(bool profile);
  const PlanReport& report() const;
  const std::vector<NodeScheme>& schemes() const;  // of the nodes that have kernels, in order
  std::span<const CommandTime> times() const;

 private:
  friend class PlanBuilder;
  struct Impl;
  // Measures kernels, makes the plan that they suggest and the one of the estimates, and returns
  // the faster one (tuned_plan.cc).
  static Result<std::unique_ptr<Plan>> MakeTuned(const Graph& model,
                                                 const std::vector<TensorType>& input_types,
                                                 std::span<Backend* const> backends,
                                                 const PlanOptions& options);
  explicit Plan(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace sula
