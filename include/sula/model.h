// Loading a model and looking at it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sula/status.h"
#include "sula/tensor.h"

#pragma GCC visibility push(default)
namespace sula {

// A loaded model: immutable, and shared by any number of sessions in any threads.
class Model;

struct LoadOptions {
  // Also compares the file's content hash, which reads all of it once. Without it only the parts
  // that a run touches are ever read from disk.
  bool check_hash = false;
};

// Maps a .sula file; the weights stay in the file and are not copied. Errors: no such file, not a
// .sula file, written by a newer version, cut short, damaged.
Result<std::shared_ptr<const Model>> LoadModel(const std::string& path,
                                               const LoadOptions& options = {});

// What is known of a value before a run.
struct ValueInfo {
  std::string name;
  DType dtype = DType::kFloat32;
  // False where not even the number of axes is known; dims is empty then.
  bool ranked = true;
  // Sizes, outermost first; -1 where the size has a name or is an expression over names.
  std::vector<int64_t> dims;
  std::string type;  // as text, with the names: "float32[N,3,224,224]"
};

// Shapes of inputs by name. An input left out keeps the shape that the model declares, which for
// a session must then be concrete.
using InputShapes = std::map<std::string, Dims>;

struct ModelInfo {
  std::string name;
  // Facts that came with the source model ("format", "producer", "licence").
  std::map<std::string, std::string> metadata;
  std::vector<ValueInfo> inputs, outputs;
  std::vector<std::pair<std::string, int64_t>> operators;  // name, count; most frequent first
  int64_t nodes = 0;
  int64_t parameters = 0;      // elements of constants, each constant once
  int64_t constant_bytes = 0;  // the same in bytes
  // Multiply-adds of one run (one multiply-add = two floating-point operations). Nodes whose sizes
  // are unknown are left out and counted in uncounted_nodes.
  double multiply_adds = 0;
  int64_t uncounted_nodes = 0;
};

// Describes the model; sizes and multiply-adds are those of a run on inputs of the given shapes. An
// error says which shape does not fit.
Result<ModelInfo> Inspect(const Model& model, const InputShapes& shapes = {});

// What the activations of a run need at least, in bytes, as a formula over the named sizes of the
// inputs: "max(H*N*W*128,H*W*4096)"; a number where none is symbolic. Workspaces of kernels, layout
// copies, weights and the memory of inputs and outputs come on top. Errors: the size of a value is
// no such formula; a shape does not fit.
Result<std::string> ActivationBytes(const Model& model, const InputShapes& shapes = {});

// One node of a model.
struct NodeInfo {
  std::string name, op;
  std::vector<std::pair<std::string, std::string>> fields;  // those that differ from their default
  std::vector<std::string> inputs;                          // names of values; "" where absent
  std::vector<ValueInfo> outputs;                           // without a name where absent
};

// The nodes in an order in which they can run. Bodies of control flow are not looked into.
std::vector<NodeInfo> Nodes(const Model& model);

// One input or output of an operator.
struct PortInfo {
  std::string name, help;
  std::vector<DType> types;  // element types it takes
  bool optional = false;
  bool variadic = false;  // stands for one or more
};
struct FieldInfo {
  std::string name, help, default_value;
};
struct OperatorInfo {
  std::string name, summary;
  std::vector<PortInfo> inputs, outputs;
  std::vector<FieldInfo> fields;
};

// All operators that a model may use, sorted by name.
std::vector<OperatorInfo> Operators();

// "0.1.0"
std::string_view Version();

}  // namespace sula
#pragma GCC visibility pop
