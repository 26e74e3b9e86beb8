// Convolution and transposed convolution over 1, 2 or 3 spatial axes.
#pragma once

#include "base/function_ref.h"
#include "ir/op_def.h"
#include "ops/activation.h"

namespace sula {

// How padding is given. kSameUpper/kSameLower: output size = ceil(input / stride), the odd pixel of
// padding at the end / the beginning. kValid: none.
enum class AutoPad : uint8_t { kExplicit, kSameUpper, kSameLower, kValid };
template <>
struct EnumNames<AutoPad> {
  static constexpr std::string_view kNames[] = {"explicit", "same_upper", "same_lower", "valid"};
};

// Lists are per spatial axis; an empty one means the default (stride 1, dilation 1, no padding).
struct ConvParams : WithActivation {
  std::vector<int64_t> strides, dilations;
  std::vector<int64_t> pads;  // begins of all axes, then ends
  AutoPad auto_pad = AutoPad::kExplicit;
  int64_t group = 1;
  friend bool operator==(const ConvParams&, const ConvParams&) = default;
};

// The field list of operators with ConvParams.
inline constexpr Field kConvFields[] = {
    MakeField<&ConvParams::strides>("strides", "per spatial axis; default 1"),
    MakeField<&ConvParams::dilations>("dilations", "per spatial axis; default 1"),
    MakeField<&ConvParams::pads>("pads", "begins of all spatial axes, then ends; default 0"),
    MakeField<&ConvParams::auto_pad>("auto_pad", "how padding is given: by pads, or computed"),
    MakeField<&ConvParams::group>("group", "number of groups that the channels form"),
    kActivationFields<ConvParams>[0],
    kActivationFields<ConvParams>[1],
    kActivationFields<ConvParams>[2],
};

struct ConvTransposeParams : WithActivation {
  std::vector<int64_t> strides, dilations, pads;
  std::vector<int64_t> output_padding;
  std::vector<int64_t> output_shape;  // spatial sizes; if given, pads follow from it
  AutoPad auto_pad = AutoPad::kExplicit;
  int64_t group = 1;
  friend bool operator==(const ConvTransposeParams&, const ConvTransposeParams&) = default;
};

// A convolution with every size resolved; spatial lists have `spatial` entries.
struct ConvGeometry {
  int64_t batch = 0, in_channels = 0, out_channels = 0, group = 1;
  int spatial = 0;
  Dims in, out, kernel, stride, dilation, pad_begin, pad_end;
};
// Resolves defaults and auto_pad for concrete sizes; x: [N,C,spatial...], w: [M,C/group,kernel...].
// Errors: ranks, channels or groups that don't fit, empty output.
Result<ConvGeometry> ResolveConv(const ConvParams& p, std::span<const int64_t> x,
                                 std::span<const int64_t> w);
// w: [C,M/group,kernel...]. `in` is the operator's input (the small side).
Result<ConvGeometry> ResolveConvTranspose(const ConvTransposeParams& p, std::span<const int64_t> x,
                                          std::span<const int64_t> w);

// The output's shape for sizes that may be symbolic; the same errors as ResolveConv.
Result<Shape> InferConv(const ConvParams& p, const Shape& x, const Shape& w);
Result<Shape> InferConvTranspose(const ConvTransposeParams& p, const Shape& x, const Shape& w);

// The sums of products of a convolution in plain loops: for each batch n and output channel m calls
// done(n * out_channels + m, sums) with the spatial plane's sums, which `done` may change.
// x and w: row-major, in the shapes that gave the geometry.
using PlaneSink = FunctionRef<void(int64_t plane, std::span<double> sums)>;
void Convolve(const ConvGeometry& g, std::span<const double> x, std::span<const double> w,
              PlaneSink done);
void ConvolveTransposed(const ConvGeometry& g, std::span<const double> x, std::span<const double> w,
                        PlaneSink done);

namespace op {
// inputs x, w, bias? [M], residual? (shape of the output); y = act(conv(x, w) + bias + residual)
extern const OpDef kConv;
// inputs x, w, bias? [M]; y = act(convT(x, w) + bias)
extern const OpDef kConvTranspose;
}  // namespace op

}  // namespace sula
