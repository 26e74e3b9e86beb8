#include "candidates.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "backends/cpu/cpu_backend.h"
#include "base/aligned_buffer.h"
#include "base/cpu_info.h"
#include "ir/text.h"
#include "ops/catalogue.h"

namespace sula {
namespace {

using Clock = std::chrono::steady_clock;

std::string GraphOf(const Layer& l) {
  return StrCat("graph \"layer\" {\n  input %x: float32[", l.batch, ",", l.in, ",", l.size, ",",
                l.size, "]\n  const %w: float32[", l.out, ",", l.in / l.groups, ",", l.kernel_rows,
                ",", l.kernel_columns, "] = random(1)\n  const %b: float32[", l.out,
                "] = random(2)\n  %y = Conv(%x, %w, %b) {strides=[", l.stride, ", ", l.stride,
                "], dilations=[", l.dilation, ", ", l.dilation, "], pads=[", l.pad_rows(), ", ",
                l.pad_columns(), ", ", l.pad_rows(), ", ", l.pad_columns(), "], group=", l.groups,
                ", activation=\"relu\"}\n  output %y\n}\n");
}

// A layer as the runtime would meet it, and its candidates.
class Case {
 public:
  static Result<std::unique_ptr<Case>> Make(const Layer& layer, int threads) {
    ASSIGN_OR_RETURN(Graph graph, ParseGraph(GraphOf(layer), AllOps()));
    std::unique_ptr<Case> c(new Case(std::move(graph), layer, threads));
    return c;
  }

  struct Candidate {
    const KernelEntry* entry;
    TensorDesc in, out;
    double predicted = 0;
    std::unique_ptr<Kernel> kernel;
    AlignedBuffer workspace;
    double least = 1e9;
  };

  std::vector<Candidate> Candidates() {
    std::vector<Candidate> r;
    const KernelRequest request = Request(inputs_, outputs_);
    for (const KernelEntry& entry : backend_->Kernels(*node_->op)) {
      if (!entry.accept(request)) continue;
      std::vector<LayoutNeed> in(inputs_.size(), LayoutNeed::kRowMajor), out(1);
      if (entry.layouts) entry.layouts(request, in, out);
      Candidate c{&entry, In(in[0] == LayoutNeed::kRowMajor), outputs_[0]};
      c.out.layout = Layout::kChannelLast, c.out.pixel_stride = c.out.dims[1];
      c.predicted = entry.estimate(request);
      if (c.in.layout != source_.layout) c.predicted += backend_->CopyCost(source_, c.in, threads_);
      r.push_back(std::move(c));
    }
    return r;
  }

  Status Create(Candidate& c) {
    std::vector<TensorDesc> in = inputs_, out = {c.out};
    in[0] = c.in;
    ASSIGN_OR_RETURN(c.kernel, c.entry->create(Request(in, out)));
    c.workspace = AlignedBuffer(c.kernel->workspace_bytes());
    return {};
  }

  void Allocate() {
    made_ = AlignedBuffer(source_.SpanBytes());
    input_ = AlignedBuffer(source_.SpanBytes());
    moved_ = AlignedBuffer(source_.SpanBytes());
    TensorDesc out = outputs_[0];
    output_ = AlignedBuffer(out.SpanBytes());
    auto* values = made_.as<float>();
    for (size_t i = 0; i < made_.bytes() / sizeof(float); ++i)
      values[i] = static_cast<float>(i % 251) / 251.f - 0.3f;
    others_ = AlignedBuffer(2 * CpuInfo::Get().l2_bytes * static_cast<size_t>(threads_));
  }

  double Time(Candidate& c) {
    const Parallel parallel(threads_);
    Prepare(parallel);
    const void* x = input_.data();
    const Clock::time_point begin = Clock::now();
    backend_->ExecuteBegin();
    if (c.in.layout != source_.layout) {
      // Both describe the same tensor, so the copy can't fail.
      static_cast<void>(backend_->CopyBuffer(source_, x, c.in, moved_.data(), parallel));
      x = moved_.data();
    }
    Status status;
    const void* in[] = {x, nullptr, nullptr};
    void* out[] = {output_.data()};
    c.kernel->Run({in, out, c.workspace.data(), parallel, &status});
    backend_->ExecuteEnd();
    const std::chrono::duration<double> t = Clock::now() - begin;
    return t.count();
  }

 private:
  Case(Graph graph, const Layer& layer, int threads)
      : graph_(std::move(graph)), threads_(threads), backend_(MakeCpuBackend()) {
    node_ = &graph_.node(graph_.TopologicalOrder().at(0));
    for (ValueId v : node_->inputs) {
      inputs_.push_back(DenseDesc(DType::kFloat32, graph_.value(v).type.shape->Concrete()));
      constants_.push_back(graph_.Constant(v));
    }
    outputs_.push_back(
        DenseDesc(DType::kFloat32, graph_.value(node_->outputs[0]).type.shape->Concrete()));
    source_ = In(layer.first());
  }

  TensorDesc In(bool row_major) const {
    return DenseDesc(DType::kFloat32, inputs_[0].dims,
                     row_major ? Layout::kRowMajor : Layout::kChannelLast);
  }
  KernelRequest Request(const std::vector<TensorDesc>& in, const std::vector<TensorDesc>& out) {
    return {node_, in, out, constants_, threads_};
  }

  // Other layers have run: L2 holds other data. Then the producer writes the input.
  void Prepare(const Parallel& parallel) {
    const size_t share = others_.bytes() / static_cast<size_t>(threads_);
    parallel.For(threads_, [&](int64_t i, int) {
      std::memset(others_.data() + static_cast<size_t>(i) * share, static_cast<int>(i), share);
    });
    constexpr size_t kPiece = size_t{64} << 10;
    const size_t bytes = source_.SpanBytes();
    parallel.For(static_cast<int64_t>((bytes + kPiece - 1) / kPiece), [&](int64_t i, int) {
      const size_t at = static_cast<size_t>(i) * kPiece;
      std::memcpy(input_.data() + at, made_.data() + at, std::min(kPiece, bytes - at));
    });
  }

  Graph graph_;
  int threads_;
  std::unique_ptr<Backend> backend_;
  const Node* node_ = nullptr;
  std::vector<TensorDesc> inputs_, outputs_;
  std::vector<const Tensor*> constants_;
  TensorDesc source_;
  AlignedBuffer made_, input_, moved_, output_, others_;
};

}  // namespace

Result<std::vector<Timed>> PredictCandidates(const Layer& layer, int threads) {
  ASSIGN_OR_RETURN(const auto c, Case::Make(layer, threads));
  std::vector<Timed> r;
  for (const Case::Candidate& candidate : c->Candidates())
    r.push_back({std::string(candidate.entry->name), candidate.predicted, 0});
  return r;
}

Result<std::vector<Timed>> TimeCandidates(const Layer& layer, const TimingOptions& options) {
  ASSIGN_OR_RETURN(const auto c, Case::Make(layer, options.threads));
  std::vector<Case::Candidate> candidates = c->Candidates();
  double best = 1e9;
  for (const auto& k : candidates) best = std::min(best, k.predicted);
  std::erase_if(candidates, [&](const auto& k) { return k.predicted > options.hopeless * best; });
  for (Case::Candidate& k : candidates) RETURN_IF_ERROR(c->Create(k));
  c->Allocate();

  constexpr int kLeastRounds = 3, kMostRounds = 60;
  const Clock::time_point end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                   std::chrono::duration<double>(options.seconds));
  best = 1e9;
  for (int round = 0; round < kMostRounds; ++round) {
    if (round >= kLeastRounds && Clock::now() > end) break;
    for (Case::Candidate& k : candidates) {
      // What is far behind after two rounds stays there.
      if (round >= 2 && k.least > 1.5 * best) continue;
      k.least = std::min(k.least, c->Time(k));
      if (round > 0) best = std::min(best, k.least);
    }
  }
  std::vector<Timed> r;
  for (const auto& k : candidates) r.push_back({std::string(k.entry->name), k.predicted, k.least});
  return r;
}

size_t Chosen(const std::vector<Timed>& candidates) {
  return static_cast<size_t>(
      std::min_element(candidates.begin(), candidates.end(),
                       [](const Timed& a, const Timed& b) { return a.predicted < b.predicted; }) -
      candidates.begin());
}

size_t Fastest(const std::vector<Timed>& candidates) {
  return static_cast<size_t>(
      std::min_element(candidates.begin(), candidates.end(),
                       [](const Timed& a, const Timed& b) { return a.measured < b.measured; }) -
      candidates.begin());
}

}  // namespace sula
