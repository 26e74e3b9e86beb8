// Matrix products.
#include "ops/matmul.h"

#include "backends/cpu/adapter.h"
#include "backends/cpu/conv_kernels.h"
#include "backends/cpu/kernels/gemm/matmul.h"
#include "backends/cpu/strassen_adapter.h"

namespace sula::cpu {
namespace {

// Inputs of the operator.
constexpr size_t kA = 0, kB = 1;  // then kBias and kResidual, as of a convolution

// For each batch index of the result, in row-major order, the operand's matrix it uses.
std::vector<int64_t> BatchIndex(const Dims& operand, const Dims& batch) {
  const size_t own = operand.size() > 2 ? operand.size() - 2 : 0;
  std::vector<int64_t> r(static_cast<size_t>(NumElements(batch)));
  for (size_t i = 0; i < r.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), index = 0, step = 1;
    for (size_t axis = batch.size(); axis-- > 0;) {
      const int64_t at = rest % batch[axis];
      rest /= batch[axis];
      if (batch.size() - axis > own) continue;
      const int64_t size = operand[own - (batch.size() - axis)];
      index += (size == 1 ? 0 : at) * step;
      step *= size;
    }
    r[i] = index;
  }
  return r;
}

Dims BatchDims(const Dims& dims) {
  return dims.size() > 2 ? Dims(dims.begin(), dims.end() - 2) : Dims();
}

Result<MatMulSpec> SpecOf(const KernelRequest& request) {
  const auto& p = request.params<MatMulParams>();
  const Dims &a = request.inputs[kA].dims, &b = request.inputs[kB].dims;
  MatMulSpec s;
  s.trans_a = p.trans_a, s.trans_b = p.trans_b, s.alpha = p.alpha;
  s.epilogue = EpilogueOf(p.Fused());
  s.m = a.size() < 2 ? 1 : a[a.size() - (p.trans_a ? 1 : 2)];
  s.k = a.size() < 2 ? a.back() : a[a.size() - (p.trans_a ? 2 : 1)];
  s.n = b.size() < 2 ? 1 : b[b.size() - (p.trans_b ? 2 : 1)];
  const Dims a_batch = BatchDims(a), b_batch = BatchDims(b);
  ASSIGN_OR_RETURN(const Dims batch, BroadcastDims(a_batch, b_batch));
  s.a_index = BatchIndex(a, batch), s.b_index = BatchIndex(b, batch);
  s.a_count = NumElements(a_batch), s.b_count = NumElements(b_batch);
  return s;
}

Verdict AcceptMatMul(const KernelRequest& request) {
  if (Verdict v = AcceptFloat(request); !v) return v;
  if (Result<MatMulSpec> spec = SpecOf(request); !spec.has_value())
    return Verdict::No(spec.error().message());
  return Verdict::Yes();
}

// Bytes of the outputs and of the inputs but a constant b.
double ActivationBytes(const KernelRequest& request) {
  double bytes = BytesOf(request.outputs[0]);
  for (const TensorDesc& t : request.inputs)
    if (&t != &request.inputs[kB] || !request.IsConstant(kB)) bytes += BytesOf(t);
  return bytes;
}

double EstimateMatMul(const KernelRequest& request) {
  const Result<MatMulSpec> s = SpecOf(request);
  const Machine machine = MachineOf(request);
  const MatMulPlan plan = PlanMatMul(*s, machine);
  const auto products = static_cast<double>(plan.products);
  Work work = ProductWork(machine.target, plan.panels, plan.blocks, plan.rows, 1, s->k,
                          static_cast<double>(s->k) * sizeof(float));
  work.seconds *= products, work.tasks *= products;
  for (Work::Stream& stream : work.streams) stream.bytes *= products;
  if (plan.products > 1) work.streams[0].bytes = 0;  // each operand b is one of `bytes`
  work.bytes = ActivationBytes(request);
  if (!request.IsConstant(kB)) {
    work.bytes += 2 * BytesOf(request.inputs[kB]);  // packing
    ++work.sections;
  }
  return Seconds(work, machine.target, request.threads);
}

class MatMulKernel : public Kernel {
 public:
  MatMulKernel(MatMul impl, const KernelRequest& request)
      : impl_(std::move(impl)),
        packed_(request.IsConstant(kB)),
        own_bias_(request.IsConstant(kBias)) {}
  size_t workspace_bytes() const override { return impl_.workspace_bytes(); }
  size_t constant_bytes() const override { return impl_.constant_bytes(); }
  bool ReadsConstant(int i) const override {
    return !(i == int{kB} && packed_) && !(i == int{kBias} && own_bias_);
  }
  std::string Detail() const override {
    return StrCat(Name(BestTarget()), packed_ ? ", packed" : "");
  }
  void Run(const RunArgs& args) const noexcept override {
    auto input = [&](size_t i) {
      return i < args.inputs.size() ? static_cast<const float*>(args.inputs[i]) : nullptr;
    };
    MatMulArgs a;
    a.a = input(kA), a.b = packed_ ? nullptr : input(kB);
    a.bias = own_bias_ ? nullptr : input(kBias), a.residual = input(kResidual);
    a.c = static_cast<float*>(args.outputs[0]);
    a.workspace = args.workspace;
    impl_.Run(a, args.parallel);
  }

 private:
  MatMul impl_;
  bool packed_, own_bias_;
};

Result<std::unique_ptr<Kernel>> CreateMatMul(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const MatMulSpec spec, SpecOf(request));
  ASSIGN_OR_RETURN(MatMul impl, MatMul::Make(spec, ConstantData(request, kB),
                                             ConstantData(request, kBias), MachineOf(request)));
  return std::unique_ptr<Kernel>(std::make_unique<MatMulKernel>(std::move(impl), request));
}

// ---- by Strassen's algorithm

Verdict AcceptConstantProduct(const KernelRequest& request) {
  if (Verdict v = AcceptMatMul(request); !v) return v;
  if (!request.IsConstant(kB)) return Verdict::No("b is not constant");
  if (request.HasInput(kBias) && !request.IsConstant(kBias))
    return Verdict::No("bias not constant");
  const Result<MatMulSpec> s = SpecOf(request);
  if (s->trans_a) return Verdict::No("a is transposed");
  if (s->b_count != 1) return Verdict::No(StrCat(s->b_count, " matrices b"));
  if (s->a_count != static_cast<int64_t>(s->a_index.size())) return Verdict::No("a is broadcast");
  return Verdict::Yes();
}

StrassenProduct ConstantProduct(const KernelRequest& request) {
  const Result<MatMulSpec> s = SpecOf(request);
  StrassenProduct r;
  r.spec.m = s->m * s->a_count;
  r.spec.n = s->n, r.spec.k = s->k;
  r.spec.epilogue = s->epilogue;
  r.weights = {ConstantData(request, kB), s->trans_b ? s->k : 1, 0, s->trans_b ? 1 : s->n};
  r.scale = s->alpha;
  r.strides = {s->k, s->n, s->n};
  r.activation_bytes = ActivationBytes(request);
  r.machine = MachineOf(request);
  return r;
}

template <int kLevels>
constexpr KernelEntry kStrassenMatMul =
    StrassenEntry<kLevels, AcceptConstantProduct, ConstantProduct>();

constexpr KernelEntry kMatMulKernels[] = {
    {.name = "packed_gemm",
     .accept = AcceptMatMul,
     .estimate = EstimateMatMul,
     .create = CreateMatMul},
    kStrassenMatMul<1>,
    kStrassenMatMul<2>,
};

}  // namespace

std::span<const KernelEntry> MatMulKernels() { return kMatMulKernels; }

}  // namespace sula::cpu
