// OpDef: everything the engine knows about an operator apart from fast kernels: its ports, its
// fields, shape inference, reference meaning, cost and traits. One constant per operator, defined
// in src/ops/<family>.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ir/params.h"
#include "tensor/shape.h"

namespace sula {

class Graph;
struct Node;

// A set of element types, one bit per DType.
using TypeSet = uint32_t;
constexpr TypeSet Bit(DType t) { return TypeSet{1} << static_cast<int>(t); }
inline constexpr TypeSet kFloats =
    Bit(DType::kFloat32) | Bit(DType::kFloat16) | Bit(DType::kBFloat16) | Bit(DType::kFloat64);
inline constexpr TypeSet kIntegers = Bit(DType::kInt8) | Bit(DType::kInt16) | Bit(DType::kInt32) |
                                     Bit(DType::kInt64) | Bit(DType::kUInt8);
inline constexpr TypeSet kNumbers = kFloats | kIntegers;
inline constexpr TypeSet kBools = Bit(DType::kBool);
inline constexpr TypeSet kAllTypes = kNumbers | kBools;
inline constexpr TypeSet kIndices = Bit(DType::kInt32) | Bit(DType::kInt64);

enum class Arity { kRequired, kOptional, kVariadic };  // kVariadic: the last port, 1 or more

struct Port {
  std::string_view name;
  std::string_view help;
  TypeSet types = kAllTypes;
  Arity arity = Arity::kRequired;
};

// Bits of OpDef::traits.
enum Trait : uint32_t {
  kElementwise = 1 << 0,     // output element i depends on element i of (broadcast) inputs alone
  kInPlace = 1 << 1,         // output 0 may overwrite input 0 when type and shape agree
  kLayoutAgnostic = 1 << 2,  // means the same whatever order the elements lie in
  kDataMovement = 1 << 3,    // copies elements, computes nothing
  kReinterpret = 1 << 4,     // output is the input's bytes under another shape (Reshape, ...)
  kCommutative = 1 << 5,     // the first two inputs may be swapped
  kDataDependentShape = 1 << 6,  // output sizes depend on the values of inputs (NonZero, ...)
  kImpure = 1 << 7,              // never folded, merged or dropped
};

// Work of one node: 2 flops per multiply-add.
struct Cost {
  double flops = 0;
  double bytes_read = 0;
  double bytes_written = 0;
};

// The error of InferContext::InputShape: nothing is wrong, but the rank is not known yet.
Status UnknownRank();
bool ErrorIsUnknownRank(const Status& status);

// What Infer sees of a node and where it puts the answer.
class InferContext {
 public:
  virtual ~InferContext() = default;
  template <class P>
  const P& params() const {
    return RawParams().As<P>();
  }
  virtual const Params& RawParams() const = 0;
  virtual const Node& node() const = 0;
  virtual int num_inputs() const = 0;  // as written in the node, absent ones included
  virtual int num_outputs() const = 0;
  virtual bool HasInput(int i) const = 0;  // given and not absent
  virtual bool HasOutput(int i) const = 0;
  // Precondition of the next three: HasInput(i).
  virtual const TensorType& input(int i) const = 0;
  // The value if it is known before the run; else null.
  virtual const Tensor* InputConstant(int i) const = 0;
  // The elements of a small integer input (scalar or 1-D) as sizes, where known, possibly
  // symbolic: {N, 3, 2*H}. This is how Shape -> Gather -> Concat -> Reshape is understood.
  virtual std::optional<std::vector<Dim>> InputContents(int i) const = 0;

  virtual void SetOutput(int i, TensorType type) = 0;
  // Says what InputContents of consumers will answer (for Shape, Gather, Concat, Add, ...).
  virtual void SetOutputContents(int i, std::vector<Dim> contents) = 0;
  // A new symbol for a size that only the run can tell: unique within the graph.
  virtual Dim FreshSymbol() = 0;

  // Shape of input i; an error if even its rank is unknown. Infer returns that error as it is
  // (ASSIGN_OR_RETURN), and the driver leaves the outputs without a shape: ErrorIsUnknownRank
  // tells it apart from a mistake. Their element types are those that Infer set before
  // (SetOutput(i, {dtype, std::nullopt})), else the only type of the port, else that of the first
  // input whose type the port allows: so set it first where this guess is wrong (Cast, Where).
  Result<Shape> InputShape(int i) const;
  DType InputType(int i) const { return input(i).dtype; }
};

// What Evaluate sees: concrete row-major tensors in, tensors out.
class EvalContext {
 public:
  virtual ~EvalContext() = default;
  template <class P>
  const P& params() const {
    return RawParams().As<P>();
  }
  virtual const Params& RawParams() const = 0;
  virtual const Node& node() const = 0;
  virtual int num_inputs() const = 0;
  virtual int num_outputs() const = 0;
  virtual bool HasInput(int i) const = 0;
  virtual bool HasOutput(int i) const = 0;
  virtual const Tensor& input(int i) const = 0;  // precondition: HasInput(i)
  // The tensor to fill, zero-filled or with arbitrary contents, of exactly this type and sizes.
  // Call once per output. An error if the plan expected other sizes.
  virtual Result<Tensor*> Output(int i, DType dtype, const Dims& dims) = 0;
  // For control flow: runs a subgraph of the node; captured values are bound by the caller.
  virtual Result<std::vector<Tensor>> RunSubgraph(int index, std::vector<Tensor> inputs) = 0;

  // The output with the type and sizes that Infer gives for these inputs: for operators whose
  // output does not depend on the values. Equivalent to Output(i, inferred type, inferred dims).
  virtual Result<Tensor*> InferredOutput(int i) = 0;

  template <class T>
  std::span<const T> data(int i) const {
    return input(i).data<T>();
  }
};

struct OpDef {
  std::string_view name;     // "Conv"
  std::string_view summary;  // one or two sentences, with the formula
  std::span<const Port> inputs;
  std::span<const Port> outputs;
  std::span<const Field> fields;
  Params (*default_params)() = [] { return Params::Of(NoParams{}); };
  // Makes a Params from fields given by name: BuildParams<P> (below). Null: no fields.
  Result<Params> (*build_params)(std::span<const Field> fields,
                                 std::span<const std::pair<std::string, FieldValue>> values) =
      nullptr;
  Status (*infer)(InferContext& ctx) = nullptr;
  Status (*evaluate)(EvalContext& ctx) = nullptr;
  // Null: no arithmetic, reads its inputs and writes its outputs once.
  Cost (*cost)(const Node& node, std::span<const TensorType> inputs,
               std::span<const TensorType> outputs) = nullptr;
  uint32_t traits = 0;
  int num_subgraphs = 0;

  bool Has(Trait t) const { return (traits & t) != 0; }
};

// The default for OpDef::build_params and default_params of an operator with params P.
template <class P>
Params DefaultParams() {
  return Params::Of(P{});
}
Status UnknownField(std::string_view name, std::span<const Field> fields);
template <class P>
Result<Params> BuildParams(std::span<const Field> fields,
                           std::span<const std::pair<std::string, FieldValue>> values) {
  P p;
  for (const auto& [name, value] : values) {
    const Field* found = nullptr;
    for (const Field& f : fields)
      if (f.name == name) found = &f;
    if (!found) return UnknownField(name, fields);
    if (Status s = found->set(&p, value); !s.ok())
      return std::move(s).AddContext(StrCat("field '", name, "'"));
  }
  return Params::Of(std::move(p));
}

// Params of an operator from fields given by name, the others at their defaults.
Result<Params> MakeParams(const OpDef& op,
                          std::span<const std::pair<std::string, FieldValue>> values);

// Compares field by field.
bool Equal(const OpDef& op, const Params& a, const Params& b);

// The operators a graph may use; ops/catalogue.h has the one of the product.
using Catalogue = std::span<const OpDef* const>;
const OpDef* FindOp(Catalogue catalogue, std::string_view name);  // null if there is none

}  // namespace sula
