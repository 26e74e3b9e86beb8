// LSTM and RNN. Caffe unrolls them into a net of their own, one part per step, whose weights are
// the layer's blobs in the order of their first use.
#include "ops/recurrent.h"

#include <algorithm>
#include <array>

#include "frontends/caffe/layer_import.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/movement.h"
#include "ops/shape_ops.h"

namespace sula::caffe {
namespace {

// What both layers have in common. Bottoms: x [T, N, ...], cont [T, N], perhaps x_static [N, ...],
// and the first states [1, N, D] if expose_hidden. Without these the states start from 0; Caffe
// goes on from the last run's where cont is not 0 in the first step.
struct Sequence {
  ValueId x = kNoValue;          // [T, N, inputs], static ones included
  std::vector<int64_t> columns;  // how many inputs are of x and how many of x_static
  std::vector<ValueId> states;   // the first ones
  int64_t units = 0;
  Shape output;  // [T, N, units]
};

Sequence ReadSequence(LayerImport& n, int num_states) {
  const RecurrentParameter& c = n.layer().recurrent_param();
  Sequence s;
  s.units = c.num_output();
  const int exposed = c.expose_hidden() ? num_states : 0;
  const int num_inputs = n.num_bottoms() - exposed;
  if (s.units < 1) n.Fail(InvalidModel("num_output is ", s.units, ", expected at least 1"));
  if (num_inputs < 2 || num_inputs > 3 || n.num_tops() != 1 + exposed) {
    n.Fail(InvalidModel(n.num_bottoms(), " bottoms and ", n.num_tops(), " tops given; with ",
                        exposed, " exposed states the layer has ", 2 + exposed, " or ", 3 + exposed,
                        " and ", 1 + exposed));
  }
  n.CheckRank(n.Bottom(), 3);
  if (!n.ok()) return s;
  const Shape shape = n.Sizes(n.Bottom());
  s.output = {shape[0], shape[1], s.units};
  s.columns = {n.KnownCount(n.Bottom(), 2, shape.rank(), "the product of weights and inputs")};
  s.x = n.Reshape(n.Bottom(), {shape[0], shape[1], s.columns[0]}, "rows");
  if (num_inputs == 3) {  // the same at every step
    n.CheckRank(n.Bottom(2), 1);
    const int64_t steps = n.KnownSize(n.Bottom(), 0, "a static input");
    s.columns.push_back(n.KnownCount(n.Bottom(2), 1, n.Rank(n.Bottom(2)), "a static input"));
    if (!n.ok()) return s;
    const ValueId row = n.Reshape(n.Bottom(2), {n.Sizes(n.Bottom(2))[0], s.columns[1]}, "static");
    const ValueId step =
        n.Add(op::kUnsqueeze, NoParams{}, {row, n.Constant({0}, "step_axis")}, "static_step");
    const ValueId wide =
        n.Add(op::kExpand, NoParams{}, {step, n.Constant({steps, 1, 1}, "steps")}, "static_steps");
    s.x = n.Add(op::kConcat, ConcatParams{.axis = 2}, {s.x, wide}, "inputs");
  }
  for (int i = 0; i < exposed; ++i) s.states.push_back(n.Bottom(num_inputs + i));
  return s;
}

// Matrices [gates * units, k] side by side, the blocks of `units` rows in another order, as
// [1, gates * units, sum of k]. order[g]: the block that becomes the g-th.
Tensor Arrange(std::span<const Tensor> parts, int64_t units, std::span<const int> order) {
  int64_t columns = 0;
  for (const Tensor& part : parts) columns += part.dim(1);
  const int64_t gates = static_cast<int64_t>(order.size());
  Tensor result(DType::kFloat32, {1, gates * units, columns});
  float* to = result.mutable_data<float>().data();
  for (int64_t row = 0; row < gates * units; ++row) {
    for (const Tensor& part : parts) {
      const int64_t from = order[row / units] * units + row % units;
      const std::span<const float> values =
          part.data<float>().subspan(from * part.dim(1), part.dim(1));
      to = std::copy(values.begin(), values.end(), to);
    }
  }
  return result;
}

// Inputs x w r bias - - and the states of the operator, from the blobs W_x, b, perhaps W_static,
// and W_h; `order` as in Arrange.
std::vector<ValueId> ReadWeights(LayerImport& n, const Sequence& s, std::span<const int> order) {
  const int64_t rows = static_cast<int64_t>(order.size()) * s.units;
  std::vector<Tensor> w = {n.Blob(0, {rows, s.columns[0]}, "weights")};
  const Tensor bias = n.Blob(1, {rows, 1}, "bias");
  const bool has_static = s.columns.size() > 1;
  if (has_static) w.push_back(n.Blob(2, {rows, s.columns[1]}, "static_weights"));
  const std::vector<Tensor> r = {n.Blob(has_static ? 3 : 2, {rows, s.units}, "state_weights")};
  if (!n.ok()) return {};
  Tensor both(DType::kFloat32, {1, 2 * rows});  // that of r is 0
  const Tensor arranged = Arrange(std::span(&bias, 1), s.units, order);
  std::copy_n(arranged.data<float>().begin(), rows, both.mutable_data<float>().begin());
  std::vector<ValueId> inputs = {s.x, n.Constant(Arrange(w, s.units, order), "weights"),
                                 n.Constant(Arrange(r, s.units, order), "state_weights"),
                                 n.Constant(std::move(both), "bias"), kNoValue};
  inputs.insert(inputs.end(), s.states.begin(), s.states.end());
  return inputs;
}

void Lstm(LayerImport& n) {
  const Sequence s = ReadSequence(n, 2);
  if (!n.ok()) return;
  // Caffe: i f o g; the operator: i o f c.
  std::vector<ValueId> inputs = ReadWeights(n, s, std::array{0, 2, 1, 3});
  if (!n.ok()) return;
  inputs.resize(8, kNoValue);
  inputs.push_back(n.Bottom(1));
  if (s.states.empty()) {
    const ValueId y = n.Add(op::kLstm, LstmParams{}, std::move(inputs), "steps");
    return n.EmitReshape(y, s.output);
  }
  const auto outputs =
      n.AddAll(op::kLstm, LstmParams{}, std::move(inputs), {"steps", "last", "last_cell"});
  n.EmitReshape(outputs[0], s.output);
  n.EmitValue(outputs[1], 1);
  n.EmitValue(outputs[2], 2);
}

// h as of the operator; o = tanh(W_o h + b_o).
void Rnn(LayerImport& n) {
  const Sequence s = ReadSequence(n, 1);
  if (!n.ok()) return;
  std::vector<ValueId> inputs = ReadWeights(n, s, std::array{0});
  const int next = static_cast<int>(s.columns.size()) + 2;
  const ValueId w = n.Weights(next, {s.units, s.units}, "output_weights");
  const ValueId bias = n.Weights(next + 1, {s.units}, "output_bias");
  if (!n.ok()) return;
  inputs.resize(6, kNoValue);
  inputs.push_back(n.Bottom(1));
  const auto outputs =
      s.states.empty()
          ? n.AddAll(op::kRnn, RecurrentParams{}, std::move(inputs), {"steps"})
          : n.AddAll(op::kRnn, RecurrentParams{}, std::move(inputs), {"steps", "last"});
  const ValueId h = n.Reshape(outputs[0], s.output, "states");
  MatMulParams transposed;
  transposed.trans_b = true;
  const ValueId product = n.Add(op::kMatMul, transposed, {h, w, bias}, "output");
  n.Emit(op::kTanh, NoParams{}, {product});
  if (!s.states.empty()) n.EmitValue(outputs[1], 1);
}

constexpr LayerHandler kHandlers[] = {
    {"LSTM", Lstm, 2, 5, 1, 3, true},
    {"RNN", Rnn, 2, 4, 1, 2, true},
};

}  // namespace

std::span<const LayerHandler> RecurrentHandlers() { return kHandlers; }

}  // namespace sula::caffe
