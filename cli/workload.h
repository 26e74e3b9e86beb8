// A model together with inputs to run it on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model_options.h"

namespace sula::cli {

struct Workload {
  std::shared_ptr<const Model> model;  // made for these shapes
  ModelInfo info;                      // sizes are those of a run on these shapes
  InputShapes shapes;
  std::vector<Array> inputs;  // in the order of the model's
  double load_seconds = 0;    // to open the model; without making inputs
};

struct WorkloadOptions {
  std::string input;                      // a folder, as for run; empty: random inputs
  std::vector<std::string> input_shapes;  // as given with --input-shape
  bool optimize = true;                   // source models
  bool make_inputs = true;  // false: without a folder leave `inputs` empty; sizes may then be open
};

// Opens (or converts) the model and reads or makes its inputs: reproducible random ones, normal
// floats and integers 0 and 1.
Result<Workload> OpenWorkload(const std::string& model, const WorkloadOptions& options,
                              Progress& progress);

// The same for another model that is to run on the inputs of `other`: which belongs to which is
// told by name or, if no name is known to both, by position.
Result<Workload> OpenWorkloadLike(const Workload& other, const std::string& model, bool optimize,
                                  Progress& progress);

// A session on the inputs, which are bound. They must outlive its runs.
Result<std::unique_ptr<Session>> OpenSession(const Workload& workload,
                                             const SessionOptions& options);

}  // namespace sula::cli
