#include <algorithm>

#include "backends/cpu/kernels/conv/conv.h"

namespace sula::cpu {

Result<ConvTransposed> ConvTransposed::Make(const ConvSpec& spec, const float* weights,
                                            const float* bias, const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  const Window& w = spec.window;
  const int64_t k = spec.in_channels / spec.groups, n = spec.out_channels / spec.groups;
  ConvTransposed r;
  r.spec_ = spec, r.machine_ = machine;
  r.zeros_ = AlignedBuffer(static_cast<size_t>(spec.in_channels) * sizeof(float));
  if (!r.zeros_.data()) return ResourceExhausted("no memory for a transposed convolution");
  const int64_t num_phases = w.stride[0] * w.stride[1] * w.stride[2];
  for (int64_t i = 0; i < num_phases; ++i) {
    Phase p;
    p.first = {i / (w.stride[2] * w.stride[1]), i / w.stride[2] % w.stride[1], i % w.stride[2]};
    std::array<std::vector<int64_t>, 3> taps;  // of the kernel, per axis
    for (size_t axis = 0; axis < 3; ++axis) {
      const int64_t s = w.stride[axis];
      p.count[axis] = std::max<int64_t>(0, (w.out[axis] - p.first[axis] + s - 1) / s);
      for (int64_t tap = 0; tap < w.kernel[axis]; ++tap) {
        const int64_t at = p.first[axis] + w.pad[axis] - tap * w.dilation[axis];
        if (at % s != 0) continue;
        taps[axis].push_back(tap);
        p.offset[axis].push_back(at / s);
      }
    }
    if (p.count[0] * p.count[1] * p.count[2] == 0) continue;
    // The phase's taps as the weights of an ordinary convolution. None: only the bias is left.
    const auto num_taps = static_cast<int64_t>(taps[0].size() * taps[1].size() * taps[2].size());
    std::vector<float> own;
    std::string part = "phase";
    for (const std::vector<int64_t>& axis : taps) {
      part += " of";
      for (int64_t tap : axis) part += StrCat(" ", tap);
    }
    const auto phase_weights = [&] {
      own.reserve(static_cast<size_t>(spec.out_channels * k * num_taps));
      for (int64_t m = 0; m < spec.out_channels; ++m)
        for (int64_t c = 0; c < k; ++c)
          for (int64_t tz : taps[0])
            for (int64_t ty : taps[1])
              for (int64_t tx : taps[2]) {
                const int64_t tap = (tz * w.kernel[1] + ty) * w.kernel[2] + tx;
                own.push_back(weights[((m / n * k + c) * n + m % n) * w.taps() + tap]);
              }
      return static_cast<const float*>(own.data());
    };
    p.weights = PackConvWeights(spec.in_channels, spec.out_channels, spec.groups, num_taps,
                                phase_weights, bias, machine, part);
    if (!p.weights.data.data() || !p.weights.bias.data())
      return ResourceExhausted("no memory for the packed weights of a transposed convolution");
    const int64_t rows = spec.batch * p.count[0] * p.count[1] * p.count[2];
    // All phases read the same input, so each tap counts as one fresh pixel only in part.
    p.blocks = ChooseGemmBlocks(rows, spec.out_channels, num_taps, p.weights.shape.k,
                                spec.in_channels * 4, static_cast<int>(p.weights.panels.size()),
                                kernels.tile_rows[p.weights.panels.front().vectors],
                                machine.threads, machine.l2_bytes);
    p.first_task = r.tasks_;
    r.tasks_ += p.blocks.tasks();
    const size_t pointers = static_cast<size_t>(std::min(p.blocks.rows, rows) * (num_taps + 1));
    r.worker_bytes_ = std::max(r.worker_bytes_, AlignUp(pointers * sizeof(float*)));
    r.phases_.push_back(std::move(p));
  }
  r.same_blocks_ = std::all_of(r.phases_.begin(), r.phases_.end(), [&](const Phase& p) {
    return p.blocks.tasks() == r.phases_.front().blocks.tasks();
  });
  return r;
}

size_t ConvTransposed::workspace_bytes() const {
  return worker_bytes_ * static_cast<size_t>(machine_.threads);
}

size_t ConvTransposed::constant_bytes() const {
  size_t bytes = zeros_.bytes();
  for (const Phase& p : phases_) bytes += p.weights.bytes();
  return bytes;
}

// Pointers to the input of every tap (pointers[tap * (end - begin) + row - begin]) and to the
// output of the phase's pixels [begin, end), counted over the batch.
void ConvTransposed::FillRows(const Phase& phase, const ConvArgs& args, int64_t begin, int64_t end,
                              const float** pointers, float** rows) const {
  const Window& w = spec_.window;
  const Axes& n = phase.count;
  const auto* zeros = zeros_.as<float>();
  for (int64_t p = begin; p < end;) {
    // A run of pixels in one row.
    const int64_t x0 = p % n[2], row = p / n[2];
    const int64_t run = std::min(n[2] - x0, end - p);
    const int64_t y = row % n[1], z = row / n[1] % n[0], batch = row / (n[1] * n[0]);
    const int64_t oz = z * w.stride[0] + phase.first[0], oy = y * w.stride[1] + phase.first[1];
    const int64_t ox = x0 * w.stride[2] + phase.first[2];
    float* out =
        args.out + (((batch * w.out[0] + oz) * w.out[1] + oy) * w.out[2] + ox) * args.out_stride;
    for (int64_t i = 0; i < run; ++i) rows[p - begin + i] = out + i * w.stride[2] * args.out_stride;
    const float** at = pointers + (p - begin);
    for (int64_t dz : phase.offset[0]) {
      const int64_t iz = z + dz;
      for (int64_t dy : phase.offset[1]) {
        const int64_t iy = y + dy;
        const bool inside = iz >= 0 && iz < w.in[0] && iy >= 0 && iy < w.in[1];
        const int64_t line = ((batch * w.in[0] + iz) * w.in[1] + iy) * w.in[2];
        for (int64_t dx : phase.offset[2]) {
          const float* in = args.in + (line + x0 + dx) * args.in_stride;
          for (int64_t i = 0; i < run; ++i) {
            const int64_t ix = x0 + dx + i;
            at[i] = inside && ix >= 0 && ix < w.in[2] ? in + i * args.in_stride : zeros;
          }
          at += end - begin;
        }
      }
    }
    p += run;
  }
}

void ConvTransposed::Run(const ConvArgs& args, const Parallel& parallel) const {
  const GemmKernels& kernels = GemmFor(machine_.target);
  parallel.For(tasks_, [&](int64_t task, int worker) {
    // Where phases have the same blocks, as a rule, the phases of a block follow each other: they
    // read the same input and write neighbouring pixels.
    const int64_t n = static_cast<int64_t>(phases_.size());
    size_t i = static_cast<size_t>(task % n);
    int64_t block = task / n;
    if (!same_blocks_) {
      i = phases_.size() - 1;
      while (phases_[i].first_task > task) --i;
      block = task - phases_[i].first_task;
    }
    const Phase& phase = phases_[i];
    const GemmBlocks& blocks = phase.blocks;
    const int64_t pixels = spec_.batch * phase.count[0] * phase.count[1] * phase.count[2];
    const int64_t begin = block / blocks.panel_groups * blocks.rows;
    const int64_t end = std::min(begin + blocks.rows, pixels);
    const int num_panels = static_cast<int>(phase.weights.panels.size());
    const int p0 = static_cast<int>(block % blocks.panel_groups) * blocks.panels;
    auto** pointers = reinterpret_cast<const float**>(static_cast<std::byte*>(args.workspace) +
                                                      static_cast<size_t>(worker) * worker_bytes_);
    auto** rows = const_cast<float**>(pointers + (end - begin) * phase.taps());
    FillRows(phase, args, begin, end, pointers, rows);
    GemmCall call;
    call.access = RowAccess::kPointers;
    call.pointers = pointers, call.pointer_stride = end - begin;
    call.panels = phase.weights.panels.data();
    call.b = phase.weights.data.as<float>(), call.bias = phase.weights.bias.as<float>();
    call.taps = phase.taps(), call.k = phase.weights.shape.k;
    call.c_rows = rows;
    call.epilogue = spec_.epilogue;
    kernels.run(call, 0, end - begin, p0, std::min(p0 + blocks.panels, num_panels));
  });
}

}  // namespace sula::cpu
