// RotaryEmbedding (opset 23 on), as basic operators.
#include "frontends/onnx/rotary.h"

#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/movement.h"
#include "ops/shape_ops.h"

namespace sula::onnx {
namespace {

constexpr int kX = 0, kCos = 1, kSin = 2, kPositions = 3;

class RotaryImport {
 public:
  explicit RotaryImport(NodeImport& n) : n_(n) {}

  void Run() {
    const auto rank = n_.RankOf(n_.Input(kX), "the order of its axes");
    if (!rank) return;
    if (*rank != 3 && *rank != 4)
      return n_.Fail(InvalidModel("input 0 has rank ", *rank, ", expected 3 or 4"));
    const bool flat = *rank == 3;
    const int64_t heads = n_.Int("num_heads", 0);
    rotated_ = n_.Int("rotary_embedding_dim", 0);
    interleaved_ = n_.Flag("interleaved", false);
    if (flat && heads < 1)
      return n_.Fail(InvalidModel("attribute 'num_heads' is ", heads, " with an input of rank 3"));
    if (rotated_ < 0 || rotated_ % 2 != 0)
      return n_.Fail(InvalidModel("attribute 'rotary_embedding_dim' is ", rotated_));

    // [batch, positions, heads, size] or [batch, heads, positions, size]: heads lie at axis 2 or 1.
    ValueId x = n_.Input(kX);
    if (flat)
      x = n_.Add(op::kReshape, ReshapeParams{}, {x, n_.Constant({0, 0, heads, -1}, "cut")},
                 "heads");
    const int64_t heads_axis = flat ? 2 : 1;
    cos_ = Angles(kCos, heads_axis, "cos"), sin_ = Angles(kSin, heads_axis, "sin");
    ValueId part = x, rest = kNoValue;
    if (rotated_ > 0) {
      const auto& shape = n_.ShapeOf(x);
      if (!shape || !shape->dims().back().is_const())
        return n_.Fail(Unsupported("operator RotaryEmbedding of a part of heads of unknown size"));
      const int64_t size = shape->dims().back().value();
      if (rotated_ > size)
        return n_.Fail(InvalidModel("attribute 'rotary_embedding_dim' is ", rotated_,
                                    ", the size of a head ", size));
      if (rotated_ < size) {
        part = Columns(x, 0, rotated_, 1, "rotated");
        rest = Columns(x, rotated_, kEnd, 1, "kept");
      }
    }
    ValueId y = Rotate(part);
    if (rest != kNoValue) y = n_.Add(op::kConcat, ConcatParams{.axis = 3}, {y, rest}, "joined");
    if (flat) {
      n_.EmitOutput(0, op::kReshape, ReshapeParams{}, {y, n_.Constant({0, 0, -1}, "flat")});
    } else {
      n_.EmitOutput(0, op::kIdentity, NoParams{}, {y});
    }
  }

 private:
  static constexpr int64_t kEnd = int64_t{1} << 62;

  // What is given for each position, or looked up by it, with an axis for the heads.
  ValueId Angles(int input, int64_t heads_axis, const std::string& name) {
    ValueId angles = n_.Input(input);
    if (n_.HasInput(kPositions))
      angles = n_.Add(op::kGather, AxisParams{.axis = 0}, {angles, n_.Input(kPositions)},
                      name + "_found");
    return n_.Add(op::kUnsqueeze, NoParams{}, {angles, n_.Constant({heads_axis}, name + "_axis")},
                  name);
  }

  ValueId Columns(ValueId x, int64_t from, int64_t to, int64_t step, const std::string& name) {
    return n_.Add(op::kSlice, NoParams{},
                  {x, n_.Constant({from}, name + "_from"), n_.Constant({to}, name + "_to"),
                   n_.Constant({3}, name + "_axis"), n_.Constant({step}, name + "_step")},
                  name);
  }

  // Pairs (a, b) of columns, the halves or every other one, become
  // (a cos - b sin, a sin + b cos).
  ValueId Rotate(ValueId x) {
    ValueId a, b;
    if (interleaved_) {
      a = Columns(x, 0, kEnd, 2, "even"), b = Columns(x, 1, kEnd, 2, "odd");
    } else {
      const auto& shape = n_.ShapeOf(x);
      if (!shape || !shape->dims().back().is_const()) {
        n_.Fail(Unsupported("operator RotaryEmbedding of heads of unknown size"));
        return x;
      }
      const int64_t half = shape->dims().back().value() / 2;
      a = Columns(x, 0, half, 1, "first"), b = Columns(x, half, kEnd, 1, "second");
    }
    const auto times = [&](ValueId v, ValueId w, const char* name) {
      return n_.Add(op::kMul, BinaryParams{}, {v, w}, name);
    };
    ValueId real = n_.Add(op::kSub, BinaryParams{},
                          {times(a, cos_, "first_cos"), times(b, sin_, "second_sin")}, "real");
    ValueId imaginary =
        n_.Add(op::kAdd, BinaryParams{},
               {times(a, sin_, "first_sin"), times(b, cos_, "second_cos")}, "imaginary");
    if (!interleaved_)
      return n_.Add(op::kConcat, ConcatParams{.axis = 3}, {real, imaginary}, "turned");
    // Side by side: [..., pairs, 2], then flat again.
    const ValueId last = n_.Constant({4}, "pair_axis");
    real = n_.Add(op::kUnsqueeze, NoParams{}, {real, last}, "real_column");
    imaginary = n_.Add(op::kUnsqueeze, NoParams{}, {imaginary, last}, "imaginary_column");
    const ValueId pairs = n_.Add(op::kConcat, ConcatParams{.axis = 4}, {real, imaginary}, "pairs");
    return n_.Add(op::kReshape, ReshapeParams{},
                  {pairs, n_.Constant({0, 0, 0, -1}, "turned_shape")}, "turned");
  }

  NodeImport& n_;
  int64_t rotated_ = 0;  // columns; 0: all
  bool interleaved_ = false;
  ValueId cos_ = kNoValue, sin_ = kNoValue;
};

}  // namespace

void RotaryEmbedding(NodeImport& n) { RotaryImport(n).Run(); }

}  // namespace sula::onnx
