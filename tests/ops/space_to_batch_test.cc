#include "ops/movement.h"
#include "ops/run_op.h"
#include "tensor/shape.h"

namespace sula {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Params Blocks(std::vector<int64_t> axes, std::vector<int64_t> block,
              std::vector<int64_t> borders = {}) {
  return Params::Of(BatchBlockParams{std::move(axes), std::move(block), std::move(borders)});
}

Tensor Iota(Dims dims) {
  Tensor t(DType::kFloat32, std::move(dims));
  for (int64_t i = 0; i < t.num_elements(); ++i)
    t.mutable_data<float>()[i] = static_cast<float>(i + 1);
  return t;
}

// The examples of TensorFlow's documentation of SpaceToBatchND.
TEST(SpaceToBatch, ExamplesOfTheDefinition) {
  const Tensor x = Iota({1, 4, 4, 1});
  const Tensor y = RunOp(op::kSpaceToBatch, Blocks({}, {2, 2}), {x});
  EXPECT_EQ(y.dims(), (Dims{4, 2, 2, 1}));
  EXPECT_THAT(Values(y), ElementsAre(1, 3, 9, 11, 2, 4, 10, 12, 5, 7, 13, 15, 6, 8, 14, 16));
  EXPECT_EQ(RunOp(op::kBatchToSpace, Blocks({}, {2, 2}), {y}), x);

  const Tensor padded =
      RunOp(op::kSpaceToBatch, Blocks({}, {2, 2}, {0, 2, 0, 0}), {Iota({2, 2, 4, 1})});
  EXPECT_EQ(padded.dims(), (Dims{8, 1, 3, 1}));
  EXPECT_THAT(Values(padded), ElementsAre(0, 1, 3, 0, 9, 11, 0, 2, 4, 0, 10, 12, 0, 5, 7, 0, 13, 15,
                                          0, 6, 8, 0, 14, 16));
}

// y[(place in block) * N + n, c, q] = x[n, c, q * block + place - begin], element by element, on
// axes other than the first ones, with sizes and borders of every kind.
TEST(SpaceToBatch, EveryElement) {
  for (int64_t height : {1, 2, 5}) {
    for (int64_t block : {1, 2, 3}) {
      for (int64_t begin : {0, 1, 4}) {
        const int64_t end = ((-(height + begin)) % block + block) % block;
        const Tensor x = Iota({2, 3, height});
        const Params params = Blocks({-1}, {block}, {begin, end});
        const Tensor y = RunOp(op::kSpaceToBatch, params, {x});
        const int64_t columns = (height + begin + end) / block;
        ASSERT_EQ(y.dims(), (Dims{2 * block, 3, columns}));
        for (int64_t i = 0; i < y.num_elements(); ++i) {
          const int64_t q = i % columns, c = i / columns % 3, batch = i / columns / 3;
          const int64_t from = q * block + batch / 2 - begin;
          const double expected =
              from < 0 || from >= height
                  ? 0
                  : static_cast<double>(((batch % 2) * 3 + c) * height + from + 1);
          ASSERT_EQ(y.AsDouble(i), expected) << height << " " << block << " " << begin << " " << i;
        }
        EXPECT_EQ(RunOp(op::kBatchToSpace, params, {y}), x);
      }
    }
  }
}

TEST(SpaceToBatch, SymbolicSizes) {
  const TensorType x = {DType::kFloat32, Shape{Dim::Symbol("N"), 3, Dim::Symbol("H"), 5}};
  const auto y = TryInfer(op::kSpaceToBatch, Blocks({2, 3}, {2, 3}, {1, 0, 1, 1}), {x});
  ASSERT_TRUE(y.has_value()) << y.error().ToString();
  EXPECT_EQ((*y)[0].ToString(), "float32[N*6,3,floor(H/2)+1,2]");
  const auto back = TryInfer(op::kBatchToSpace, Blocks({2, 3}, {2, 3}, {1, 0, 1, 1}), {(*y)[0]});
  ASSERT_TRUE(back.has_value()) << back.error().ToString();
  EXPECT_EQ((*back)[0].shape->TryConcrete(), std::nullopt);
  EXPECT_EQ((*back)[0].shape->rank(), 4);
}

TEST(SpaceToBatch, RefusesWhatDoesNotFit) {
  const auto error = [](const OpDef& op, Params params, Dims dims) {
    const auto result = TryRun(op, std::move(params), {Iota(std::move(dims))});
    return result ? std::string("no error") : result.error().ToString();
  };
  const OpDef &to = op::kSpaceToBatch, &back = op::kBatchToSpace;
  EXPECT_THAT(error(to, Blocks({}, {2}), {1, 3}), HasSubstr("not a multiple of the block's 2"));
  EXPECT_THAT(error(to, Blocks({0}, {2}), {2, 2}), HasSubstr("axis 0 is the batch"));
  EXPECT_THAT(error(to, Blocks({1, 1}, {2, 2}), {2, 2}), HasSubstr("blocked twice"));
  EXPECT_THAT(error(to, Blocks({1}, {2, 2}), {2, 2}), HasSubstr("1 axes with 2 block sizes"));
  EXPECT_THAT(error(to, Blocks({}, {2, 2}), {2, 2}), HasSubstr("axis 2"));
  EXPECT_THAT(error(to, Blocks({}, {0}), {2, 2}), HasSubstr("side 0"));
  EXPECT_THAT(error(to, Blocks({}, {2}, {1}), {2, 2}), HasSubstr("expected 2"));
  EXPECT_THAT(error(to, Blocks({}, {2}, {-1, 1}), {2, 2}), HasSubstr("pads or crops of -1"));
  EXPECT_THAT(error(to, Blocks({1, 2}, {INT32_MAX, INT32_MAX}), {2, 2, 2}), HasSubstr("2^40"));
  EXPECT_THAT(error(to, Blocks({}, {2}), {}), HasSubstr("scalar"));
  EXPECT_THAT(error(back, Blocks({}, {2}), {3, 2}), HasSubstr("not a multiple"));
  EXPECT_THAT(error(back, Blocks({}, {2}, {3, 2}), {2, 2}), HasSubstr("take more than axis 1"));
  EXPECT_EQ(RunOp(to, Blocks({}, {1 << 20}, {0, (1 << 20) - 2}), {Iota({0, 2})}).dims(),
            (Dims{0, 1}));
}

}  // namespace
}  // namespace sula
