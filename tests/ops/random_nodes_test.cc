// Every operator on random nodes: random element types, sizes, values and fields, most of them
// nonsense. Whatever comes, there is a result or a Status, and results are what Infer promised.
#include <random>

#include "ops/run_op.h"

namespace sula {
namespace {

class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}
  int64_t Int(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  bool OneIn(int64_t n) { return Int(1, n) == 1; }

 private:
  std::mt19937 engine_;
};

Dims RandomDims(Dice& dice) {
  // Ranks that operators want are likelier.
  Dims dims(static_cast<size_t>(dice.OneIn(3) ? 4 : dice.Int(0, 4)));
  for (int64_t& d : dims) d = dice.OneIn(12) ? 0 : dice.Int(1, 4);
  return dims;
}

int64_t RandomInt(Dice& dice) {
  if (!dice.OneIn(12)) return dice.Int(-3, 5);
  constexpr int64_t kExtremes[] = {INT64_MIN, INT64_MAX, int64_t{1} << 40, INT64_MIN + 1};
  return kExtremes[dice.Int(0, 3)];
}

Tensor RandomTensor(Dice& dice, DType type, Dims dims) {
  Tensor t(type, std::move(dims));
  DispatchDType(type, [&](auto zero) {
    using T = decltype(zero);
    for (T& v : t.mutable_data<T>()) {
      if constexpr (std::is_same_v<T, int64_t>) {
        v = RandomInt(dice);
      } else if constexpr (std::is_same_v<T, bool>) {
        v = dice.OneIn(2);
      } else if constexpr (std::is_same_v<T, uint8_t>) {
        v = static_cast<T>(dice.Int(0, 9));
      } else {
        v = static_cast<T>(static_cast<float>(dice.Int(-3, 5)));
      }
    }
  });
  return t;
}

DType RandomType(Dice& dice, TypeSet allowed) {
  DType type;
  do {
    type = static_cast<DType>(dice.Int(0, kDTypeCount - 1));
  } while (!(allowed & Bit(type)));
  return type;
}

// Like the field's value in kind.
FieldValue RandomLike(Dice& dice, const FieldValue& value) {
  if (std::holds_alternative<bool>(value)) return dice.OneIn(2);
  if (std::holds_alternative<int64_t>(value)) return RandomInt(dice);
  if (std::holds_alternative<double>(value)) return static_cast<double>(dice.Int(-2, 4)) / 2;
  if (std::holds_alternative<std::vector<int64_t>>(value)) {
    std::vector<int64_t> list(static_cast<size_t>(dice.Int(0, 4)));
    for (int64_t& v : list) v = RandomInt(dice);
    return list;
  }
  return value;  // enumerators: the default
}

Params RandomParams(Dice& dice, const OpDef& op) {
  const Params defaults = op.default_params();
  if (op.fields.empty() || dice.OneIn(3)) return defaults;
  std::vector<std::pair<std::string, FieldValue>> values;
  for (const Field& f : op.fields) {
    if (dice.OneIn(2)) values.emplace_back(f.name, RandomLike(dice, Field::Get(f, defaults)));
  }
  auto built = op.build_params(op.fields, values);
  return built ? *built : defaults;
}

Inputs RandomInputs(Dice& dice, const OpDef& op) {
  Inputs inputs;
  const Dims shared = RandomDims(dice);
  DType shared_type = RandomType(dice, op.inputs.empty() ? kAllTypes : op.inputs[0].types);
  for (const Port& port : op.inputs) {
    const int64_t count = port.arity == Arity::kVariadic ? dice.Int(1, 3) : 1;
    for (int64_t i = 0; i < count; ++i) {
      if (port.arity == Arity::kOptional && dice.OneIn(2)) {
        inputs.push_back(std::nullopt);
        continue;
      }
      const bool like_first = (port.types & Bit(shared_type)) && !dice.OneIn(8);
      const DType type = like_first ? shared_type : RandomType(dice, port.types);
      Dims dims = dice.OneIn(2) ? shared : RandomDims(dice);
      if (!inputs.empty() && dice.OneIn(3)) dims = {dice.Int(1, 4)};
      if (!inputs.empty() && dice.OneIn(4)) dims = {};
      inputs.push_back(RandomTensor(dice, type, dims));
    }
  }
  return inputs;
}

// Infer without any value known promised nothing that did not come true.
void ExpectPromisesKept(const OpDef& op, const Params& params, const Inputs& inputs,
                        const std::vector<Tensor>& outputs) {
  InputTypes types;
  for (const auto& t : inputs) {
    types.push_back(std::nullopt);
    if (t) types.back() = TensorType{t->dtype(), Shape::Of(t->dims())};
  }
  const auto promised = TryInfer(op, params, types, {}, static_cast<int>(outputs.size()));
  ASSERT_TRUE(promised.has_value()) << promised.error().ToString();
  for (size_t i = 0; i < outputs.size(); ++i) {
    const TensorType& type = (*promised)[i];
    EXPECT_EQ(type.dtype, outputs[i].dtype());
    if (!type.shape) continue;
    ASSERT_EQ(type.shape->rank(), outputs[i].rank()) << type.ToString();
    for (int k = 0; k < outputs[i].rank(); ++k)
      EXPECT_EQ((*type.shape)[k].TryValue().value_or(outputs[i].dim(k)), outputs[i].dim(k))
          << type.ToString();
  }
}

TEST(RandomNodes, GiveResultsAsPromisedOrAnError) {
  size_t succeeded = 0;
  for (const OpDef* op : AllOps()) {
    if (op->num_subgraphs > 0) continue;
    bool success = false;
    for (uint32_t seed = 0; seed < 600; ++seed) {
      SCOPED_TRACE(StrCat(op->name, " seed ", seed));
      Dice dice(seed);
      const Params params = RandomParams(dice, *op);
      const Inputs inputs = RandomInputs(dice, *op);
      const int max_outputs = static_cast<int>(op->outputs.size());
      const int num_outputs = op->outputs.back().arity == Arity::kVariadic
                                  ? static_cast<int>(dice.Int(1, 3))
                                  : static_cast<int>(dice.Int(1, max_outputs));
      const auto outputs = TryRun(*op, params, inputs, num_outputs);
      if (!outputs) {
        EXPECT_NE(outputs.error().code(), Code::kInternal) << outputs.error().ToString();
        EXPECT_FALSE(outputs.error().message().empty());
        continue;
      }
      success = true;
      ExpectPromisesKept(*op, params, inputs, *outputs);
      if (::testing::Test::HasFailure()) return;
    }
    succeeded += success;
  }
  // Else the nodes were too much nonsense to test anything.
  EXPECT_GT(succeeded, AllOps().size() * 4 / 5);
}

}  // namespace
}  // namespace sula
