// Operators that move elements.
#include "ops/movement.h"

#include <algorithm>

#include "frontends/onnx/node_import.h"

namespace sula::onnx {
namespace {

void Transpose(NodeImport& n) {
  n.Emit(op::kTranspose, TransposeParams{.perm = n.Ints("perm")}, n.inputs());
}

void Concat(NodeImport& n) {
  // Only opset 1 to 3 have a default.
  int64_t axis = n.opset() >= 4 ? n.RequiredInt("axis") : n.Int("axis", 1);
  n.Emit(op::kConcat, ConcatParams{.axis = axis}, n.inputs());
}

// The sizes of the parts were an attribute from opset 2 to 12 (in 1 either), and are an input
// since.
void Split(NodeImport& n) {
  SplitParams p;
  p.axis = n.Int("axis", 0);
  ValueId split = n.Input(1);
  if (n.opset() >= 18) {
    p.num_outputs = n.Int("num_outputs", 0);
    if (n.Has("num_outputs") && p.num_outputs != n.num_outputs())
      return n.Fail(InvalidModel("attribute 'num_outputs' is ", p.num_outputs, " but the node has ",
                                 n.num_outputs(), " outputs"));
  } else if (n.opset() < 13 && n.Has("split")) {
    split = n.Constant(n.Ints("split"), "split");
  }
  n.Emit(op::kSplit, p, {n.Input(0), split});
}

void Slice(NodeImport& n) {
  if (n.opset() >= 10) {
    if (n.num_inputs() < 3) return n.Fail(InvalidModel("inputs 'starts' and 'ends' are missing"));
    return n.Emit(op::kSlice, NoParams{}, n.inputs());
  }
  ValueId starts = n.Constant(n.Ints("starts"), "starts");
  ValueId ends = n.Constant(n.Ints("ends"), "ends");
  ValueId axes = n.Has("axes") ? n.Constant(n.Ints("axes"), "axes") : kNoValue;
  n.Emit(op::kSlice, NoParams{}, {n.Input(0), starts, ends, axes});
}

void Pad(NodeImport& n) {
  PadParams p;
  p.mode = n.Choice<PadMode>("mode", "constant",
                             {{"constant", PadMode::kConstant},
                              {"reflect", PadMode::kReflect},
                              {"edge", PadMode::kEdge},
                              {"wrap", PadMode::kWrap}});
  if (n.opset() >= 11) {
    if (!n.HasInput(1)) return n.Fail(InvalidModel("input 1 ('pads') is missing"));
    return n.Emit(op::kPad, p, n.inputs());
  }
  const char* name = n.opset() >= 2 ? "pads" : "paddings";
  if (!n.Has(name)) return n.Fail(InvalidModel("attribute '", name, "' is missing"));
  ValueId pads = n.Constant(n.Ints(name), "pads");
  ValueId value = n.Scalar(n.Float("value", 0), n.TypeOf(n.Input(0)), "value");
  n.Emit(op::kPad, p, {n.Input(0), pads, value});
}

// Up to opset 5: a number of tiles along one axis, both scalar inputs.
void Tile(NodeImport& n) {
  if (n.opset() >= 6) return n.Emit(op::kTile, NoParams{}, n.inputs());
  auto rank = n.RankOf(n.Input(0), "the form of opset 1");
  std::optional<Tensor> tiles = n.Known(n.Input(1));
  std::optional<Tensor> axis = n.HasInput(2) ? n.Known(n.Input(2)) : std::nullopt;
  if (!rank) return;
  if (!tiles || !axis)
    return n.Fail(Unsupported("operator Tile of opset 1 with computed tiles or axis"));
  if (tiles->num_elements() != 1 || axis->num_elements() != 1 || axis->AsDouble(0) < 0 ||
      axis->AsDouble(0) >= *rank)
    return n.Fail(
        InvalidModel("tiles and axis must be single numbers, the axis within rank ", *rank));
  std::vector<int64_t> repeats(*rank, 1);
  repeats[static_cast<size_t>(axis->AsInt(0))] = tiles->AsInt(0);
  n.Emit(op::kTile, NoParams{}, {n.Input(0), n.Constant(repeats, "repeats")});
}

BlockParams ReadBlock(NodeImport& n) {
  BlockParams p;
  p.block = n.RequiredInt("blocksize");
  p.crd = n.Choice<bool>("mode", "DCR", {{"DCR", false}, {"CRD", true}});
  return p;
}
void DepthToSpace(NodeImport& n) { n.Emit(op::kDepthToSpace, ReadBlock(n), n.inputs()); }
void SpaceToDepth(NodeImport& n) { n.Emit(op::kSpaceToDepth, ReadBlock(n), n.inputs()); }

void ReverseSequence(NodeImport& n) {
  ReverseSequenceParams p;
  p.batch_axis = n.Int("batch_axis", 1);
  p.time_axis = n.Int("time_axis", 0);
  n.Emit(op::kReverseSequence, p, n.inputs());
}

void Trilu(NodeImport& n) {
  n.Emit(op::kTrilu, TriluParams{.upper = n.Flag("upper", true)}, n.inputs());
}

constexpr OpHandler kHandlers[] = {
    {"Concat", Concat, 1, kAny},  {"DepthToSpace", DepthToSpace},
    {"Pad", Pad, 1, 4},           {"ReverseSequence", ReverseSequence, 2, 2},
    {"Slice", Slice, 1, 5},       {"SpaceToDepth", SpaceToDepth},
    {"Split", Split, 1, 2, kAny}, {"Tile", Tile, 2, 3},
    {"Transpose", Transpose},     {"Trilu", Trilu, 1, 2},
};

}  // namespace

std::span<const OpHandler> MovementHandlers() { return kHandlers; }

}  // namespace sula::onnx
