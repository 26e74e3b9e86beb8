// Pieces of tensors cut out and put together: slices, splits, concatenations and pads that meet.
#include <algorithm>
#include <map>

#include "ops/movement.h"
#include "optimizer/match.h"
#include "optimizer/rules/rules.h"

namespace sula::rules {
namespace {

// ---- what a slice takes

struct Cut {
  int64_t start = 0, end = 0, step = 1;  // as Slice has them
};
using Cuts = std::map<int, Cut>;  // by axis

// The constant cuts of a Slice; nothing if something is not constant.
std::optional<Cuts> CutsOf(const Graph& g, const Node& node) {
  const Shape* in = ShapeOf(g, node.inputs[0]);
  const auto starts = IntsInput(g, node, 1), ends = IntsInput(g, node, 2);
  if (!in || !starts || !ends || starts->size() != ends->size()) return std::nullopt;
  std::vector<int64_t> axes, steps(starts->size(), 1);
  for (size_t i = 0; i < starts->size(); ++i) axes.push_back(static_cast<int64_t>(i));
  for (size_t i = 3; i < 5; ++i) {
    if (!node.HasInput(i)) continue;
    const auto given = IntsInput(g, node, i);
    if (!given || given->size() != starts->size()) return std::nullopt;
    (i == 3 ? axes : steps) = *given;
  }
  Cuts cuts;
  for (size_t i = 0; i < axes.size(); ++i) {
    const Result<int> axis = NormalizeAxis(axes[i], in->rank());
    if (!axis.has_value()) return std::nullopt;
    if (!cuts.emplace(*axis, Cut{(*starts)[i], (*ends)[i], steps[i]}).second) return std::nullopt;
  }
  return cuts;
}

// A range as start, end and step; `range.count` elements of an axis.
Cut ToCut(const SliceRange& range) {
  if (range.count == 0) return {0, 0, 1};
  const int64_t end = range.begin + range.count * range.step;
  return {range.begin, end < 0 ? INT64_MIN : end, range.step};
}

ValueId AddSlice(const std::string& name, ValueId x, const Cuts& cuts, Patch& patch) {
  std::vector<int64_t> lists[4];
  for (const auto& [axis, cut] : cuts) {
    lists[0].push_back(cut.start);
    lists[1].push_back(cut.end);
    lists[2].push_back(axis);
    lists[3].push_back(cut.step);
  }
  static constexpr const char* kNames[] = {"/starts", "/ends", "/axes", "/steps"};
  const bool plain = std::ranges::all_of(lists[3], [](int64_t s) { return s == 1; });
  std::vector<ValueId> inputs = {x};
  for (int i = 0; i < (plain ? 3 : 4); ++i)
    inputs.push_back(patch.AddConstant(name + kNames[i], Tensor::FromInts(lists[i])));
  return patch.AddNode(op::kSlice, op::kSlice.default_params(), std::move(inputs), name);
}

std::optional<Patch> MergeSlices(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& outer = g.node(id);
  const NodeId inner_id = ProducedBy(g, outer.inputs[0], op::kSlice);
  if (inner_id == kNoNode || uses.Count(outer.inputs[0]) != 1) return std::nullopt;
  const Node& inner = g.node(inner_id);
  std::optional<Cuts> cuts = CutsOf(g, inner);
  const std::optional<Cuts> more = CutsOf(g, outer);
  const Shape* in = ShapeOf(g, inner.inputs[0]);
  if (!cuts || !more || !in) return std::nullopt;
  for (const auto& [axis, cut] : *more) {
    const auto it = cuts->find(axis);
    if (it == cuts->end()) {
      cuts->emplace(axis, cut);
      continue;
    }
    const auto size = (*in)[axis].TryValue();
    if (!size) return std::nullopt;
    const auto first = ResolveSlice(*size, it->second.start, it->second.end, it->second.step);
    if (!first.has_value()) return std::nullopt;
    const auto second = ResolveSlice(first->count, cut.start, cut.end, cut.step);
    if (!second.has_value()) return std::nullopt;
    // With one element the step does not matter, and products of steps could overflow.
    const bool one = second->count <= 1;
    if (!one && (std::abs(first->step) > 1 << 30 || std::abs(second->step) > 1 << 30))
      return std::nullopt;
    it->second = ToCut({second->count == 0 ? 0 : first->begin + second->begin * first->step,
                        one ? 1 : first->step * second->step, second->count});
  }
  Patch patch(g);
  patch.Replace(outer.outputs[0], AddSlice(outer.name, inner.inputs[0], *cuts, patch));
  return patch;
}

// ---- pieces along one axis

// Elements [begin, end) of `source` along an axis.
struct Piece {
  ValueId source = kNoValue;
  int64_t begin = 0, end = 0, size = 0;  // size: of the source
  ValueId value = kNoValue;              // where it is, if it is somewhere
};

std::optional<int64_t> SizeAlong(const Graph& g, ValueId v, int axis) {
  const Shape* shape = ShapeOf(g, v);
  if (!shape || axis < 0 || axis >= shape->rank()) return std::nullopt;
  return (*shape)[axis].TryValue();
}

// The value as a piece: of what it is sliced or split from along this axis, else of itself.
std::optional<Piece> AsPiece(const Graph& g, ValueId v, int axis) {
  const std::optional<int64_t> own = SizeAlong(g, v, axis);
  if (!own) return std::nullopt;
  const Piece whole = {v, 0, *own, *own, v};
  const NodeId producer = g.value(v).producer;
  if (producer == kNoNode) return whole;
  const Node& node = g.node(producer);
  if (node.Is(op::kSlice)) {
    const std::optional<Cuts> cuts = CutsOf(g, node);
    const std::optional<int64_t> size = SizeAlong(g, node.inputs[0], axis);
    if (!cuts || !size || cuts->size() != 1 || !cuts->contains(axis)) return whole;
    const Cut& cut = cuts->at(axis);
    const auto range = ResolveSlice(*size, cut.start, cut.end, cut.step);
    if (!range.has_value() || range->step != 1) return whole;
    return Piece{node.inputs[0], range->begin, range->begin + range->count, *size, v};
  }
  if (node.Is(op::kSplit)) {
    const std::optional<int64_t> size = SizeAlong(g, node.inputs[0], axis);
    const Shape* in = ShapeOf(g, node.inputs[0]);
    if (!size) return whole;
    const Result<int> along = NormalizeAxis(node.As<SplitParams>().axis, in->rank());
    if (!along.has_value() || *along != axis) return whole;
    int64_t begin = 0;
    for (int i = 0; i < g.value(v).output_index; ++i) {
      const auto part = node.HasOutput(i) ? SizeAlong(g, node.outputs[i], axis) : std::nullopt;
      if (!part) return whole;
      begin += *part;
    }
    return Piece{node.inputs[0], begin, begin + *own, *size, v};
  }
  return whole;
}

// Neighbours that are neighbours in one source become one piece.
std::vector<Piece> Joined(const std::vector<Piece>& pieces) {
  std::vector<Piece> joined;
  for (const Piece& p : pieces) {
    Piece* last = joined.empty() ? nullptr : &joined.back();
    if (last && last->source == p.source && last->end == p.begin) {
      last->end = p.end;
      last->value = kNoValue;
    } else {
      joined.push_back(p);
    }
  }
  return joined;
}

ValueId AddPiece(const std::string& name, const Piece& p, int axis, Patch& patch) {
  if (p.begin == 0 && p.end == p.size) return p.source;
  if (p.value != kNoValue) return p.value;
  return AddSlice(name, p.source, {{axis, {p.begin, p.end, 1}}}, patch);
}

std::optional<int> ConcatAxis(const Graph& g, const Node& node) {
  const Shape* shape = ShapeOf(g, node.outputs[0]);
  if (!shape) return std::nullopt;
  const Result<int> axis = NormalizeAxis(node.As<ConcatParams>().axis, shape->rank());
  if (!axis.has_value()) return std::nullopt;
  return *axis;
}

// Concat(..., Concat(...), ...) along one axis, and neighbouring pieces of one tensor.
std::optional<Patch> MergeConcats(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const std::optional<int> axis = ConcatAxis(g, node);
  if (!axis) return std::nullopt;
  std::vector<ValueId> inputs;
  for (ValueId v : node.inputs) {
    const NodeId inner = ProducedBy(g, v, op::kConcat);
    if (inner != kNoNode && uses.Count(v) == 1 && ConcatAxis(g, g.node(inner)) == axis &&
        std::ranges::count(node.inputs, v) == 1) {
      inputs.insert(inputs.end(), g.node(inner).inputs.begin(), g.node(inner).inputs.end());
    } else {
      inputs.push_back(v);
    }
  }
  bool changed = inputs != node.inputs;
  Patch patch(g);
  std::vector<Piece> pieces;
  for (ValueId v : inputs) {
    const std::optional<Piece> piece = AsPiece(g, v, *axis);
    if (piece) pieces.push_back(*piece);
  }
  if (pieces.size() == inputs.size()) {
    const std::vector<Piece> joined = Joined(pieces);
    if (joined.size() < pieces.size()) {
      changed = true;
      inputs.clear();
      for (const Piece& p : joined)
        inputs.push_back(AddPiece(node.name + "/part", p, *axis, patch));
    }
  }
  if (!changed) return std::nullopt;
  patch.Replace(node.outputs[0], inputs.size() == 1 ? inputs[0]
                                                    : patch.AddNode(op::kConcat, node.params,
                                                                    std::move(inputs), node.name));
  return patch;
}

// The inputs of a Concat that make up [begin, end) of its axis, or part of one input.
std::optional<std::vector<Piece>> PiecesOf(const Graph& g, const Node& concat, int axis,
                                           int64_t begin, int64_t end) {
  std::vector<Piece> pieces;
  int64_t at = 0;
  for (ValueId v : concat.inputs) {
    const std::optional<int64_t> size = SizeAlong(g, v, axis);
    if (!size) return std::nullopt;
    const int64_t from = std::max(begin, at), to = std::min(end, at + *size);
    if (from < to) pieces.push_back({v, from - at, to - at, *size, kNoValue});
    at += *size;
  }
  // Several of them only as they are: otherwise it would be one slice more.
  const bool whole =
      std::ranges::all_of(pieces, [](const Piece& p) { return p.begin == 0 && p.end == p.size; });
  if (pieces.empty() || (pieces.size() > 1 && !whole)) return std::nullopt;
  return pieces;
}

ValueId AddPieces(const Node& like, const Node& concat, const std::vector<Piece>& pieces, int axis,
                  Patch& patch) {
  std::vector<ValueId> parts;
  for (const Piece& p : pieces) parts.push_back(AddPiece(like.name, p, axis, patch));
  if (parts.size() == 1) return parts[0];
  return patch.AddNode(op::kConcat, concat.params, std::move(parts), like.name);
}

std::optional<Patch> SliceOfConcat(const Graph& g, const UseIndex&, NodeId id) {
  const Node& node = g.node(id);
  const NodeId concat = ProducedBy(g, node.inputs[0], op::kConcat);
  if (concat == kNoNode) return std::nullopt;
  const std::optional<int> axis = ConcatAxis(g, g.node(concat));
  if (!axis) return std::nullopt;
  const std::optional<Piece> piece = AsPiece(g, node.outputs[0], *axis);
  if (!piece || piece->source != node.inputs[0]) return std::nullopt;
  const auto pieces = PiecesOf(g, g.node(concat), *axis, piece->begin, piece->end);
  if (!pieces || pieces->size() == g.node(concat).inputs.size()) return std::nullopt;
  Patch patch(g);
  patch.Replace(node.outputs[0], AddPieces(node, g.node(concat), *pieces, *axis, patch));
  return patch;
}

std::optional<Patch> SplitOfConcat(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& node = g.node(id);
  const NodeId concat = ProducedBy(g, node.inputs[0], op::kConcat);
  if (concat == kNoNode) return std::nullopt;
  const std::optional<int> axis = ConcatAxis(g, g.node(concat));
  if (!axis) return std::nullopt;
  Patch patch(g);
  for (ValueId v : node.outputs) {
    if (v == kNoValue || uses.Count(v) == 0) continue;
    const std::optional<Piece> piece = AsPiece(g, v, *axis);
    if (!piece || piece->source != node.inputs[0]) return std::nullopt;
    const auto pieces = PiecesOf(g, g.node(concat), *axis, piece->begin, piece->end);
    if (!pieces) return std::nullopt;
    patch.Replace(v, AddPieces(node, g.node(concat), *pieces, *axis, patch));
  }
  return patch;
}

// ---- pads

std::optional<Patch> MergePads(const Graph& g, const UseIndex& uses, NodeId id) {
  const Node& outer = g.node(id);
  const NodeId inner_id = ProducedBy(g, outer.inputs[0], op::kPad);
  if (inner_id == kNoNode || uses.Count(outer.inputs[0]) != 1) return std::nullopt;
  const Node& inner = g.node(inner_id);
  const Shape* in = ShapeOf(g, inner.inputs[0]);
  if (!in) return std::nullopt;
  const int rank = in->rank();
  std::vector<int64_t> sum(2 * rank, 0);
  double value = 0;
  for (const Node* node : {&inner, &outer}) {
    if (node->As<PadParams>().mode != PadMode::kConstant) return std::nullopt;
    const auto pads = IntsInput(g, *node, 1);
    if (!pads) return std::nullopt;
    std::vector<int64_t> axes;
    for (int i = 0; i < rank; ++i) axes.push_back(i);
    if (node->HasInput(3)) {
      const auto given = IntsInput(g, *node, 3);
      if (!given) return std::nullopt;
      axes = *given;
    }
    if (pads->size() != 2 * axes.size()) return std::nullopt;
    for (size_t i = 0; i < pads->size(); ++i) {
      const Result<int> axis = NormalizeAxis(axes[i % axes.size()], rank);
      // A negative pad cuts off, which must not be undone by the other.
      if (!axis.has_value() || (*pads)[i] < 0 || (*pads)[i] > int64_t{1} << 40) return std::nullopt;
      sum[*axis + (i < axes.size() ? 0 : rank)] += (*pads)[i];
    }
    double own = 0;
    if (node->HasInput(2)) {
      const auto given = ScalarConstant(g, node->inputs[2]);
      if (!given) return std::nullopt;
      own = *given;
    }
    if (node == &outer && own != value) return std::nullopt;  // and NaN, which equals nothing
    value = own;
  }
  Patch patch(g);
  std::vector<ValueId> inputs = {inner.inputs[0],
                                 patch.AddConstant(outer.name + "/pads", Tensor::FromInts(sum))};
  if (inner.HasInput(2)) inputs.push_back(inner.inputs[2]);
  patch.Replace(outer.outputs[0],
                patch.AddNode(op::kPad, outer.params, std::move(inputs), outer.name));
  return patch;
}

constexpr const OpDef* kSlices[] = {&op::kSlice};
constexpr const OpDef* kSplits[] = {&op::kSplit};
constexpr const OpDef* kConcats[] = {&op::kConcat};
constexpr const OpDef* kPads[] = {&op::kPad};

}  // namespace

constinit const Rule kMergeSlices = {"merge-slices", "Slice(Slice(x)) -> Slice(x)", kSlices,
                                     MergeSlices};
constinit const Rule kMergeConcats = {
    "merge-concats",
    "Concat(Concat(a, b), c) -> Concat(a, b, c); adjoining slices or parts of x -> x or a slice",
    kConcats, MergeConcats};
constinit const Rule kSliceOfConcat = {
    "slice-of-concat", "Slice(Concat(a, b, c)) -> the inputs that it takes, or a slice of one",
    kSlices, SliceOfConcat};
constinit const Rule kSplitOfConcat = {
    "split-of-concat", "Split(Concat(a, b)) -> a, b where the parts are those of the Concat",
    kSplits, SplitOfConcat};
constinit const Rule kMergePads = {"merge-pads", "Pad(Pad(x)) -> Pad(x) with the same value", kPads,
                                   MergePads};

}  // namespace sula::rules
