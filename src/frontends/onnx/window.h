// Attributes that convolution and pooling share.
#pragma once

#include "frontends/onnx/node_import.h"
#include "ops/conv.h"

namespace sula::onnx {

// Reads strides, dilations, pads and auto_pad; the struct has members of these names. Pads beside
// an auto_pad other than NOTSET have no effect in ONNX and are dropped.
template <class P>
void ReadWindow(NodeImport& n, P& p) {
  p.strides = n.Ints("strides");
  p.dilations = n.Ints("dilations");
  p.pads = n.Ints("pads");
  p.auto_pad = n.Choice<AutoPad>("auto_pad", "NOTSET",
                                 {{"NOTSET", AutoPad::kExplicit},
                                  {"", AutoPad::kExplicit},
                                  {"SAME_UPPER", AutoPad::kSameUpper},
                                  {"SAME_LOWER", AutoPad::kSameLower},
                                  {"VALID", AutoPad::kValid}});
  if (p.auto_pad != AutoPad::kExplicit) p.pads.clear();
}

// Reads kernel_shape, which repeats what the weights say, and compares the two where it can.
// `weights`: [M, C, kernel...].
void CheckKernelShape(NodeImport& n, ValueId weights);

}  // namespace sula::onnx
