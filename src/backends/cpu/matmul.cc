// Matrix products.
#include "ops/matmul.h"

#include "backends/cpu/adapter.h"
#include "backends/cpu/conv_kernels.h"
#include "backends/cpu/kernels/gemm/matmul.h"
#include "backends/cpu/strassen_adapter.h"

namespace sula::cpu {
namespace {

// Inputs of the operator.
constexpr size_t kA = 0, kB = 1, kBias = 2, kResidual = 3;

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
  work.bytes = BytesOf(request.outputs[0]);
  for (const TensorDesc& t : request.inputs)
    if (&t != &request.inputs[kB] || !request.IsConstant(kB)) work.bytes += BytesOf(t);
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

StrassenSpec StrassenOf(const MatMulSpec& s, int levels) {
  return {levels, s.m * static_cast<int64_t>(s.a_index.size()), s.n, s.k, s.epilogue};
}

template <int kLevels>
Verdict AcceptMatMulStrassen(const KernelRequest& request) {
  if (Verdict v = AcceptMatMul(request); !v) return v;
  if (!request.IsConstant(kB)) return Verdict::No("b is not constant");
  if (request.HasInput(kBias) && !request.IsConstant(kBias))
    return Verdict::No("bias not constant");
  const Result<MatMulSpec> s = SpecOf(request);
  if (s->trans_a) return Verdict::No("a is transposed");
  if (s->b_count != 1) return Verdict::No(StrCat(s->b_count, " matrices b"));
  if (s->a_count != static_cast<int64_t>(s->a_index.size())) return Verdict::No("a is broadcast");
  return AcceptStrassen(request, StrassenOf(*s, kLevels));
}

template <int kLevels>
double EstimateMatMulStrassen(const KernelRequest& request) {
  const Result<MatMulSpec> s = SpecOf(request);
  double bytes = BytesOf(request.outputs[0]);
  for (const TensorDesc& t : request.inputs)
    if (&t != &request.inputs[kB]) bytes += BytesOf(t);
  return EstimateStrassen(StrassenOf(*s, kLevels), bytes, MachineOf(request));
}

class StrassenKernel : public Kernel {
 public:
  StrassenKernel(Strassen impl, int64_t k, int64_t n, std::string detail)
      : impl_(std::move(impl)), k_(k), n_(n), detail_(std::move(detail)) {}
  size_t workspace_bytes() const override { return impl_.workspace_bytes(); }
  size_t constant_bytes() const override { return impl_.constant_bytes(); }
  bool ReadsConstant(int i) const override { return i != int{kB} && i != int{kBias}; }
  std::string Detail() const override { return detail_; }
  void Run(const RunArgs& args) const noexcept override {
    ConvArgs a;
    a.in = static_cast<const float*>(args.inputs[kA]), a.in_stride = k_;
    a.out = static_cast<float*>(args.outputs[0]), a.out_stride = n_;
    if (args.inputs.size() > kResidual)
      a.residual = static_cast<const float*>(args.inputs[kResidual]);
    a.residual_stride = n_;
    a.workspace = args.workspace;
    impl_.Run(a, args.parallel);
  }

 private:
  Strassen impl_;
  int64_t k_, n_;
  std::string detail_;
};

template <int kLevels>
Result<std::unique_ptr<Kernel>> CreateMatMulStrassen(const KernelRequest& request) {
  ASSIGN_OR_RETURN(const MatMulSpec s, SpecOf(request));
  const Machine machine = MachineOf(request);
  const StrassenSpec product = StrassenOf(s, kLevels);
  const WeightView b{ConstantData(request, kB), s.trans_b ? s.k : 1, 0, s.trans_b ? 1 : s.n};
  ASSIGN_OR_RETURN(Strassen impl,
                   Strassen::Make(product, b, s.alpha, ConstantData(request, kBias), machine));
  return std::unique_ptr<Kernel>(std::make_unique<StrassenKernel>(
      std::move(impl), s.k, s.n, StrassenDetail(product, machine)));
}

template <int kLevels>
constexpr KernelEntry kStrassenMatMul = {.name = StrassenName(kLevels),
                                         .accept = AcceptMatMulStrassen<kLevels>,
                                         .estimate = EstimateMatMulStrassen<kLevels>,
                                         .create = CreateMatMulStrassen<kLevels>};

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
