#include "ops/matmul.h"

#include "ir/graph.h"
#include "ops/checks.h"
#include "ops/cost.h"
#include "ops/numbers.h"

namespace sula {
namespace {

// An operand as batch axes and a matrix, the transposition undone.
struct Operand {
  Shape batch;
  Dim rows, cols;
};

Operand Split(const Shape& shape, bool transposed, bool vector_is_row) {
  if (shape.rank() == 1) return vector_is_row ? Operand{{}, 1, shape[0]} : Operand{{}, shape[0], 1};
  const int rank = shape.rank();
  Operand o{std::vector<Dim>(shape.begin(), shape.end() - 2), shape[rank - 2], shape[rank - 1]};
  if (transposed) std::swap(o.rows, o.cols);
  return o;
}

struct Product {
  Operand a, b;
  Shape batch;
};

Result<Product> Match(const MatMulParams& p, const Shape& a, const Shape& b) {
  if (a.rank() == 0 || b.rank() == 0)
    return InvalidModel("the operands have shapes ", a.ToString(), " and ", b.ToString(),
                        ", expected rank 1 or more");
  if ((a.rank() == 1 && p.trans_a) || (b.rank() == 1 && p.trans_b))
    return InvalidModel("an operand of rank 1 cannot be transposed: the shapes are ", a.ToString(),
                        " and ", b.ToString());
  Product product{Split(a, p.trans_a, true), Split(b, p.trans_b, false), {}};
  Result<Shape> batch = BroadcastShapes(product.a.batch, product.b.batch);
  if (!MayEqual(product.a.cols, product.b.rows) || !batch.has_value())
    return InvalidModel("the operands' shapes ", a.ToString(), p.trans_a ? " (transposed)" : "",
                        " and ", b.ToString(), p.trans_b ? " (transposed)" : "", " don't fit");
  product.batch = *std::move(batch);
  return product;
}

Shape ResultShape(const Product& product, int a_rank, int b_rank) {
  std::vector<Dim> y = product.batch.dims();
  if (a_rank > 1) y.push_back(product.a.rows);
  if (b_rank > 1) y.push_back(product.b.cols);
  return Shape(std::move(y));
}

// For each axis of `batch`, how many of the operand's matrices its next index advances.
Dims BatchSteps(const Shape& operand, const Shape& batch) {
  Dims steps(batch.rank(), 0);
  int64_t step = 1;
  for (int i = operand.rank() - 1; i >= 0; --i) {
    const int64_t size = operand[i].value();
    if (size != 1) steps[batch.rank() - operand.rank() + i] = step;
    step *= size;
  }
  return steps;
}

Status InferNodeTypes(InferContext& ctx) {
  const auto& p = ctx.params<MatMulParams>();
  RETURN_IF_ERROR(CheckSameType(ctx, {0, 1, 2, 3}));
  if (IsInteger(ctx.InputType(0)) && (p.alpha != 1 || p.activation != ActivationKind::kNone))
    return Unsupported("alpha and an activation on integers");
  ASSIGN_OR_RETURN(const Shape a, ctx.InputShape(0));
  ASSIGN_OR_RETURN(const Shape b, ctx.InputShape(1));
  ASSIGN_OR_RETURN(const Product product, Match(p, a, b));
  const Shape y = ResultShape(product, a.rank(), b.rank());
  RETURN_IF_ERROR(CheckVector(ctx, 2, "bias", product.b.cols));
  if (ctx.HasInput(3) && ctx.input(3).shape && !MayEqual(*ctx.input(3).shape, y))
    return InvalidModel("residual has shape ", ctx.input(3).shape->ToString(),
                        " but the result has shape ", y.ToString());
  ctx.SetOutput(0, {ctx.InputType(0), y});
  return {};
}

// The elements of t as T, every matrix of the stack as [rows, cols].
template <class T>
std::vector<T> LoadMatrices(const Tensor& t, bool transposed, int64_t rows, int64_t cols) {
  std::vector<T> stored = LoadAs<T>(t);
  if (!transposed) return stored;
  std::vector<T> result(stored.size());
  const int64_t size = rows * cols;
  for (int64_t base = 0; base < static_cast<int64_t>(stored.size()); base += size)
    for (int64_t c = 0; c < cols; ++c)
      for (int64_t r = 0; r < rows; ++r) result[base + r * cols + c] = stored[base + c * rows + r];
  return result;
}

template <class T>
void Multiply(EvalContext& ctx, const MatMulGeometry& g, Tensor& y) {
  const auto& p = ctx.params<MatMulParams>();
  const std::vector<T> a = LoadMatrices<T>(ctx.input(0), p.trans_a, g.m, g.k);
  const std::vector<T> b = LoadMatrices<T>(ctx.input(1), p.trans_b, g.k, g.n);
  std::vector<T> bias, residual;
  if (ctx.HasInput(2)) bias = LoadAs<T>(ctx.input(2));
  if (ctx.HasInput(3)) residual = LoadAs<T>(ctx.input(3));
  const int64_t size = g.m * g.n;
  MultiplyMatrices<T>(g, a, b, [&](int64_t i, std::span<T> sums) {
    for (int64_t j = 0; j < size; ++j) {
      T value = sums[j];
      if constexpr (std::is_floating_point_v<T>) value *= p.alpha;
      if (!bias.empty()) value += bias[j % g.n];
      if (!residual.empty()) value += residual[i * size + j];
      if constexpr (std::is_floating_point_v<T>) value = Apply(p.Fused(), value);
      sums[j] = value;
    }
    StoreAs<T>(sums, y, i * size);
  });
}

Status Evaluate(EvalContext& ctx) {
  ASSIGN_OR_RETURN(const MatMulGeometry g, ResolveMatMul(ctx.params<MatMulParams>(),
                                                         ctx.input(0).dims(), ctx.input(1).dims()));
  ASSIGN_OR_RETURN(Tensor * y, ctx.InferredOutput(0));
  if (IsFloat(y->dtype())) {
    Multiply<double>(ctx, g, *y);
  } else {
    Multiply<uint64_t>(ctx, g, *y);
  }
  return {};
}

Cost CostOfMatMul(const Node& node, std::span<const TensorType> inputs,
                  std::span<const TensorType> outputs) {
  double k = 0;
  if (const auto& shape = inputs[0].shape; shape && shape->rank() > 0) {
    const int axis = shape->rank() - (node.As<MatMulParams>().trans_a ? 2 : 1);
    k = static_cast<double>((*shape)[axis].TryValue().value_or(0));
  }
  return Traffic(inputs, outputs, 2 * k * Elements(outputs[0]));
}

constexpr Field kFields[] = {
    MakeField<&MatMulParams::trans_a>("trans_a", "swap the last two axes of a first"),
    MakeField<&MatMulParams::trans_b>("trans_b", "swap the last two axes of b first"),
    MakeField<&MatMulParams::alpha>("alpha", "factor of the product"),
    kActivationFields<MatMulParams>[0],
    kActivationFields<MatMulParams>[1],
    kActivationFields<MatMulParams>[2],
};

constexpr TypeSet kTypes = kFloats | kIndices;
constexpr Port kInputs[] = {
    {"a", "[batch..., m, k], or [k]", kTypes},
    {"b", "[batch..., k, n], or [k]", kTypes},
    {"bias", "[n]", kTypes, Arity::kOptional},
    {"residual", "of the output's shape, added before the activation", kTypes, Arity::kOptional},
};
constexpr Port kOutputs[] = {{"y", "[batch..., m, n]", kTypes}};

}  // namespace

std::pair<int64_t, int64_t> MatMulGeometry::Operands(int64_t i) const {
  int64_t a = 0, b = 0;
  for (int axis = static_cast<int>(batch.size()) - 1; axis >= 0; --axis) {
    const int64_t index = i % batch[axis];
    i /= batch[axis];
    a += index * a_step[axis];
    b += index * b_step[axis];
  }
  return {a, b};
}

Result<MatMulGeometry> ResolveMatMul(const MatMulParams& p, std::span<const int64_t> a,
                                     std::span<const int64_t> b) {
  const Shape a_shape = Shape::Of(a), b_shape = Shape::Of(b);
  ASSIGN_OR_RETURN(const Product product, Match(p, a_shape, b_shape));
  return MatMulGeometry{
      .m = product.a.rows.value(),
      .n = product.b.cols.value(),
      .k = product.a.cols.value(),
      .batch = product.batch.Concrete(),
      .a_step = BatchSteps(product.a.batch, product.batch),
      .b_step = BatchSteps(product.b.batch, product.batch),
      .out = ResultShape(product, a_shape.rank(), b_shape.rank()).Concrete(),
  };
}

Result<Shape> InferMatMul(const MatMulParams& p, const Shape& a, const Shape& b) {
  ASSIGN_OR_RETURN(const Product product, Match(p, a, b));
  return ResultShape(product, a.rank(), b.rank());
}

namespace op {

constinit const OpDef kMatMul = {
    .name = "MatMul",
    .summary =
        "Matrix product of the last two axes, other axes broadcast as in numpy.matmul: "
        "y = act(alpha * a x b + bias + residual).",
    .inputs = kInputs,
    .outputs = kOutputs,
    .fields = kFields,
    .default_params = DefaultParams<MatMulParams>,
    .build_params = BuildParams<MatMulParams>,
    .infer = InferNodeTypes,
    .evaluate = Evaluate,
    .cost = CostOfMatMul,
};

}  // namespace op
}  // namespace sula
