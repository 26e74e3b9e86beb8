// What operators that only move elements do, said once: which boxes of the output are which boxes
// of the inputs. The runtime makes views of it where no byte has to move and copies where some do;
// chains of such operators compose into one step. (Region fusion: Jiang et al., "MNN", section 3.)
//
// Boxes are in index space: they say how far to go along which axis of a tensor, so they hold for
// any strides in which the tensors lie.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace sula {

// One loop over a box: `count` steps that each move by to_step elements along axis `to` of the
// output and by from_step along axis `from` of the source.
struct RegionAxis {
  int64_t count = 1;
  int to = 0;
  int64_t to_step = 1;
  int from = -1;  // -1: stays at the same element
  int64_t from_step = 0;
  friend bool operator==(const RegionAxis&, const RegionAxis&) = default;
};

// A box: the element at to_begin plus the steps of the axes is the element of the source at
// from_begin plus theirs. A box without axes is one element.
struct Region {
  static constexpr int kZeros = -1;
  int source = 0;   // of RegionsOf: an input port. kZeros: zeros; from_begin is then empty
  Dims to_begin;    // one index per axis of the output
  Dims from_begin;  // one index per axis of the source
  std::vector<RegionAxis> axes;

  int64_t num_elements() const;
  std::string ToString() const;
  friend bool operator==(const Region&, const Region&) = default;
};

// Boxes that together write every element of an output once, none of them empty.
using RegionList = std::vector<Region>;

// No list is longer than this; what would need more is better done in another way.
inline constexpr size_t kMaxRegions = 1024;

// The boxes of each output of a node; an absent output's list is empty. dims: concrete sizes by
// port, empty where absent; constants: by input, null where the value is known at run time only.
// Knows Reshape and all that reinterpret, Transpose, Expand, Tile, Slice, Split, Concat, Pad,
// DepthToSpace, SpaceToDepth, and Gather with constant indices. Errors (no mistakes, but reasons to
// run the node in another way): another operator, bounds that are not constant, too many boxes, a
// reshape that is no box ([2,3] to [3,2]).
Result<std::vector<RegionList>> RegionsOf(const Node& node, std::span<const Dims> input_dims,
                                          std::span<const Dims> output_dims,
                                          std::span<const Tensor* const> constants);

// Axes of one step dropped, output steps made positive, neighbours merged that go along the same
// axes; sorted by axis of the output, and there by falling step.
void Normalize(Region& region);

// The elements of `outer` (a box of y from m) whose place in m lies in `inner` (a box of m from x),
// as a box of y from x. Nothing, in *fits, if these are no box: the caller then has to make m.
// An empty result if the boxes don't meet. Both must be normalised.
std::optional<Region> Compose(const Region& outer, const Region& inner, bool* fits);

}  // namespace sula
