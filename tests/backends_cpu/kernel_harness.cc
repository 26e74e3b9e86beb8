#include "backends_cpu/kernel_harness.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include "backend/host.h"
#include "backends/cpu/kernel_table.h"
#include "base/aligned_buffer.h"
#include "ir/text.h"
#include "ops/catalogue.h"

namespace sula::cpu {
namespace {

constexpr std::byte kGuard{0xa5};
constexpr size_t kGuardBytes = 128;

Tensor RandomTensor(DType dtype, const Dims& dims, const HarnessOptions& o, std::mt19937& rng) {
  Tensor t(dtype, dims);
  std::uniform_real_distribution<float> real(o.low, o.high);
  std::uniform_int_distribution<int> integer(0, 5);
  DispatchDType(dtype, [&](auto zero) {
    using T = decltype(zero);
    for (T& v : t.mutable_data<T>()) {
      if constexpr (std::is_same_v<T, bool>) {
        v = integer(rng) > 2;
      } else if constexpr (std::is_integral_v<T>) {
        v = static_cast<T>(integer(rng));
      } else {
        v = static_cast<T>(real(rng));
      }
    }
  });
  return t;
}

// A tensor's memory in some layout, with guards around it and between its pixels.
struct Storage {
  TensorDesc desc;
  AlignedBuffer buffer;
  void* data() const { return buffer.data() + kGuardBytes; }
};

Storage Allocate(const TensorDesc& desc) {
  Storage s{desc, AlignedBuffer(desc.SpanBytes() + 2 * kGuardBytes)};
  std::memset(s.buffer.data(), static_cast<int>(kGuard), s.buffer.bytes());
  return s;
}

enum class Form { kRowMajor, kDense, kPadded };

TensorDesc DescOf(const Tensor& t, Form form) {
  TensorDesc d = DenseDesc(t.dtype(), t.dims());
  if (form != Form::kRowMajor && t.rank() >= 3) {
    d.layout = Layout::kChannelLast;
    d.pixel_stride = t.dim(1) + (form == Form::kPadded ? 5 : 0);
  }
  return d;
}

// Strided: dense; heads beside each other in rows with gaps; the first axis innermost.
TensorDesc StridedDesc(const Tensor& t, Form form) {
  TensorDesc d = DenseDesc(t.dtype(), t.dims());
  d.layout = Layout::kStrided;
  d.strides = RowMajorStrides(t.dims());
  const size_t rank = t.dims().size();
  if (form == Form::kPadded) {
    for (size_t i = 0, step = 1; i < rank; ++i) d.strides[i] = step, step *= t.dim(i);
  } else if (form == Form::kDense && rank == 4) {
    const int64_t row = t.dim(1) * t.dim(3) + 5;
    d.strides = {t.dim(2) * row, t.dim(3), row, 1};
  }
  return d;
}

Form FormOf(LayoutNeed need, Form choice) {
  if (need == LayoutNeed::kRowMajor) return Form::kRowMajor;
  if (need == LayoutNeed::kChannelLast && choice == Form::kRowMajor) return Form::kDense;
  return choice;
}

// Every byte that a copy of `like` into fresh guards leaves alone must still be a guard in `got`.
void ExpectGuards(const Storage& got, const Tensor& like, const std::string& what) {
  Storage touched = Allocate(got.desc);
  Tensor ones(like.dtype(), like.dims());
  std::memset(ones.mutable_raw(), 0, ones.bytes());
  ASSERT_TRUE(
      HostCopy(DenseDesc(like.dtype(), like.dims()), ones.raw(), got.desc, touched.data()).ok());
  for (size_t i = 0; i < got.buffer.bytes(); ++i) {
    if (touched.buffer.data()[i] == kGuard) {
      ASSERT_EQ(got.buffer.data()[i], kGuard)
          << what << ": wrote byte " << static_cast<int64_t>(i - kGuardBytes) << ", outside of "
          << got.desc.ToString();
    }
  }
}

void ExpectClose(const Tensor& got, const Tensor& want, const HarnessOptions& o,
                 const std::string& what) {
  ASSERT_EQ(got.dims(), want.dims());
  int reported = 0;
  for (int64_t i = 0; i < want.num_elements() && reported < 3; ++i) {
    const double w = want.AsDouble(i), g = got.AsDouble(i);
    const bool same = std::isnan(w)   ? std::isnan(g)
                      : std::isinf(w) ? g == w
                                      : std::abs(g - w) <= o.absolute + o.relative * std::abs(w);
    if (!same) {
      ADD_FAILURE() << what << ": element " << i << " is " << g << ", not " << w;
      ++reported;
    }
  }
}

// Keeps the packs of one node and checks, whenever a recipe comes again, that it would give the
// same bytes again: then it tells all that they depend on.
class CheckingPacks : public PackSource {
 public:
  Pack Get(std::string_view recipe, size_t bytes, FunctionRef<void(std::byte*)> fill) override {
    Pack fresh = Pack::Fresh(bytes, fill);
    const auto [known, is_new] = packs_.emplace(recipe, fresh);
    const Pack& pack = known->second;
    if (!is_new) {
      EXPECT_EQ(pack.bytes(), bytes) << "packs of the recipe '" << recipe << "' differ in size";
      EXPECT_TRUE(pack.bytes() == bytes && std::memcmp(pack.data(), fresh.data(), bytes) == 0)
          << "packs of the recipe '" << recipe << "' differ";
    }
    return fresh;
  }

 private:
  std::map<std::string, Pack, std::less<>> packs_;
};

}  // namespace

std::vector<std::string> CheckKernels(std::string_view text, const HarnessOptions& options) {
  std::vector<std::string> ran;
  Result<Graph> parsed = ParseGraph(text, AllOps());
  if (!parsed) {
    ADD_FAILURE() << parsed.error().ToString();
    return ran;
  }
  const Graph& g = *parsed;
  const Node& node = g.node(g.TopologicalOrder().at(0));
  std::mt19937 rng(static_cast<uint32_t>(text.size()) * 7919u);
  std::vector<Tensor> feeds;
  for (ValueId v : g.inputs())
    feeds.push_back(
        RandomTensor(g.value(v).type.dtype, g.value(v).type.shape->Concrete(), options, rng));
  std::vector<Tensor> results;
  auto evaluated = EvaluateGraph(g, feeds, [&](NodeId, std::span<const Tensor> outputs) {
    results.assign(outputs.begin(), outputs.end());
  });
  if (!evaluated) {
    ADD_FAILURE() << evaluated.error().ToString();
    return ran;
  }
  std::vector<const Tensor*> values, constants;
  for (ValueId v : node.inputs) {
    constants.push_back(g.Constant(v));
    const Tensor* value = constants.back();
    for (size_t i = 0; i < feeds.size() && v != kNoValue; ++i)
      if (g.inputs()[i] == v) value = &feeds[i];
    values.push_back(value);
  }
  CheckingPacks packs;
  for (const KernelEntry& entry : CpuKernels(*node.op)) {
    if (!options.only.empty() && entry.name != options.only) continue;
    bool used = false;
    for (int threads : options.threads) {
      for (Form form : {Form::kRowMajor, Form::kDense, Form::kPadded}) {
        std::vector<TensorDesc> in, out;
        std::vector<LayoutNeed> need_in(values.size(), LayoutNeed::kRowMajor);
        const auto describe = [&](auto&& form_of_input, auto&& form_of_output) {
          in.clear(), out.clear();
          for (size_t i = 0; i < values.size(); ++i) {
            const auto desc_of = need_in[i] == LayoutNeed::kStrided ? StridedDesc : DescOf;
            in.push_back(values[i] ? desc_of(*values[i], form_of_input(i)) : TensorDesc());
          }
          for (size_t i = 0; i < node.outputs.size(); ++i)
            out.push_back(node.HasOutput(i) ? DescOf(results[i], form_of_output(i)) : TensorDesc());
        };
        describe([](size_t) { return Form::kRowMajor; }, [](size_t) { return Form::kRowMajor; });
        const KernelRequest plain{&node, in, out, constants, threads};
        if (!entry.accept(plain)) break;
        std::vector<LayoutNeed> need_out(out.size(), LayoutNeed::kRowMajor);
        if (entry.layouts) entry.layouts(plain, need_in, need_out);
        EXPECT_GT(entry.estimate(plain), 0);
        bool follows = form == Form::kRowMajor;
        for (LayoutNeed n : need_in) follows |= n != LayoutNeed::kRowMajor;
        for (LayoutNeed n : need_out) follows |= n != LayoutNeed::kRowMajor;
        if (!follows) continue;
        describe([&](size_t i) { return FormOf(need_in[i], form); },
                 [&](size_t i) { return FormOf(need_out[i], form); });
        const KernelRequest request{.node = &node,
                                    .inputs = in,
                                    .outputs = out,
                                    .constants = constants,
                                    .threads = threads,
                                    .packs = &packs};
        const std::string what = StrCat(entry.name, ", form ", static_cast<int>(form), ", ",
                                        threads, " threads, ", text.substr(0, 400));
        Result<std::unique_ptr<Kernel>> kernel = entry.create(request);
        if (!kernel) {
          ADD_FAILURE() << what << ": " << kernel.error().ToString();
          continue;
        }
        std::vector<Storage> sources, targets;
        std::vector<const void*> inputs;
        std::vector<void*> outputs;
        for (size_t i = 0; i < in.size(); ++i) {
          inputs.push_back(nullptr);
          if (!values[i]) continue;
          if (constants[i] && !(*kernel)->ReadsConstant(static_cast<int>(i))) continue;
          sources.push_back(Allocate(in[i]));
          EXPECT_TRUE(HostCopy(DenseDesc(values[i]->dtype(), values[i]->dims()), values[i]->raw(),
                               in[i], sources.back().data())
                          .ok());
          inputs.back() = sources.back().data();
        }
        for (const TensorDesc& d : out) {
          targets.push_back(d.present ? Allocate(d) : Storage());
          outputs.push_back(d.present ? targets.back().data() : nullptr);
        }
        AlignedBuffer workspace((*kernel)->workspace_bytes() + kGuardBytes);
        std::memset(workspace.data(), 0xff, workspace.bytes());  // NaN wherever read as floats
        Status status;
        RunArgs args{inputs, outputs, workspace.data(), Parallel(threads), &status};
        (*kernel)->Run(args);
        EXPECT_TRUE(status.ok()) << what << ": " << status.ToString();
        for (size_t i = workspace.bytes() - kGuardBytes; i < workspace.bytes(); ++i)
          EXPECT_EQ(workspace.data()[i], std::byte{0xff}) << what << ": wrote past its workspace";
        for (size_t i = 0; i < out.size(); ++i) {
          if (!out[i].present) continue;
          Tensor got(results[i].dtype(), results[i].dims());
          EXPECT_TRUE(HostCopy(out[i], targets[i].data(), DenseDesc(got.dtype(), got.dims()),
                               got.mutable_raw())
                          .ok());
          ExpectClose(got, results[i], options, what);
          ExpectGuards(targets[i], results[i], what);
        }
        used = true;
      }
    }
    if (used) ran.emplace_back(entry.name);
  }
  return ran;
}

}  // namespace sula::cpu
