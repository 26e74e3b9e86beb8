#include "backends/cpu/adapter.h"

#include <algorithm>

#include "backends/cpu/machine_profile.h"

namespace sula::cpu {

Epilogue EpilogueOf(const Activation& f) {
  Epilogue e;
  e.a = f.a, e.b = f.b;
  switch (f.kind) {
    case ActivationKind::kNone: break;
    case ActivationKind::kRelu: e.lo = 0; break;
    case ActivationKind::kClip: e.lo = f.a, e.hi = f.b; break;
    case ActivationKind::kLeakyRelu: e.curve = Curve::kLeakyRelu; break;
    case ActivationKind::kSigmoid: e.curve = Curve::kSigmoid; break;
    case ActivationKind::kTanh: e.curve = Curve::kTanh; break;
    case ActivationKind::kHardSigmoid: e.curve = Curve::kHardSigmoid; break;
    case ActivationKind::kHardSwish: e.curve = Curve::kHardSwish; break;
    case ActivationKind::kSwish: e.curve = Curve::kSwish; break;
    case ActivationKind::kGelu: e.curve = Curve::kGelu; break;
  }
  return e;
}

Window WindowOf(const ConvGeometry& g) {
  Window w;
  for (int i = 0; i < g.spatial; ++i) {
    const size_t from = static_cast<size_t>(i), to = static_cast<size_t>(3 - g.spatial + i);
    w.in[to] = g.in[from], w.out[to] = g.out[from], w.kernel[to] = g.kernel[from];
    w.stride[to] = g.stride[from], w.dilation[to] = g.dilation[from];
    w.pad[to] = g.pad_begin[from];
  }
  return w;
}

Machine MachineOf(const KernelRequest& request) {
  return {BestTarget(), std::max(1, request.threads), CurrentL2Bytes(), request.packs};
}

Verdict AcceptFloat(const KernelRequest& request) {
  for (std::span<const TensorDesc> tensors : {request.inputs, request.outputs}) {
    for (const TensorDesc& t : tensors) {
      if (!t.present) continue;
      if (t.dtype != DType::kFloat32) return Verdict::No(StrCat("element type ", Name(t.dtype)));
      if (t.num_elements() == 0) return Verdict::No("an empty tensor");
    }
  }
  return Verdict::Yes();
}

const float* ConstantData(const KernelRequest& request, size_t i) {
  return request.IsConstant(i) ? request.constants[i]->data<float>().data() : nullptr;
}

double BytesOf(const TensorDesc& t) {
  return t.present ? static_cast<double>(t.num_elements()) * static_cast<double>(SizeOf(t.dtype))
                   : 0;
}

}  // namespace sula::cpu
