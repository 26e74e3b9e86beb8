#include "backends/cpu/kernels/conv/transposed.h"

#include <algorithm>

namespace sula::cpu {

ConvTransposed::AxisPhase ConvTransposed::PhaseOf(const Window& w, int axis, int64_t residue) {
  const int64_t s = w.stride[axis], pad = w.pad[axis];
  AxisPhase p;
  // The first output with (o + pad) % s == residue; pad may be negative.
  p.first = ((residue - pad) % s + s) % s;
  p.count = p.first < w.out[axis] ? (w.out[axis] - p.first + s - 1) / s : 0;
  for (int64_t k = 0; k < w.kernel[axis]; ++k) {
    const int64_t reach = p.first + pad - k * w.dilation[axis];
    if (reach % s != 0) continue;
    p.taps.push_back(k);
    p.offsets.push_back(reach / s);
  }
  return p;
}

Result<ConvTransposed> ConvTransposed::Make(const ConvSpec& spec, const float* weights,
                                            const float* bias, const Machine& machine) {
  const GemmKernels& kernels = GemmFor(machine.target);
  const Window& w = spec.window;
  const Status no_memory =
      ResourceExhausted("no memory for the packed weights of a transposed convolution");
  ConvTransposed r;
  r.spec_ = spec, r.machine_ = machine;
  r.zeros_ = AlignedBuffer(static_cast<size_t>(spec.in_channels) * sizeof(float));
  if (!r.zeros_.data()) return no_memory;
  const int64_t k = spec.in_channels / spec.groups, columns = spec.out_channels / spec.groups;
  std::vector<float> own;
  for (int64_t z = 0; z < w.stride[0]; ++z) {
    for (int64_t y = 0; y < w.stride[1]; ++y) {
      for (int64_t x = 0; x < w.stride[2]; ++x) {
        Phase phase{.axes = {PhaseOf(w, 0, z), PhaseOf(w, 1, y), PhaseOf(w, 2, x)}};
        if (phase.pixels() == 0) continue;
        // Weights as [column][tap][k]. A phase without taps gets one of zeros: bias alone.
        std::vector<int64_t> taps;
        for (int64_t kz : phase.axes[0].taps)
          for (int64_t ky : phase.axes[1].taps)
            for (int64_t kx : phase.axes[2].taps)
              taps.push_back((kz * w.kernel[1] + ky) * w.kernel[2] + kx);
        const int64_t count = std::max<int64_t>(1, static_cast<int64_t>(taps.size()));
        own.assign(static_cast<size_t>(spec.out_channels * count * k), 0.f);
        for (int64_t m = 0; m < spec.out_channels; ++m)
          for (size_t t = 0; t < taps.size(); ++t)
            for (int64_t c = 0; c < k; ++c)
              own[static_cast<size_t>((m * count + static_cast<int64_t>(t)) * k + c)] =
                  weights[((m / columns * k + c) * columns + m % columns) * w.taps() + taps[t]];
        phase.weights = PackWeights({own.data(), count * k, k, 1}, bias,
                                    {spec.out_channels, count, k, spec.groups}, kernels.lanes,
                                    kernels.registers);
        if (!phase.weights.data.data() || !phase.weights.bias.data()) return no_memory;
        const Panel& first = phase.weights.panels.front();
        phase.blocks =
            ChooseGemmBlocks(spec.batch * phase.pixels(), spec.out_channels, count, k,
                             spec.in_channels * 4, static_cast<int>(phase.weights.panels.size()),
                             kernels.tile_rows[first.vectors], machine.threads, machine.l2_bytes);
        phase.prefetch = phase.weights.data.bytes() > machine.l2_bytes / 2;
        r.phases_.push_back(std::move(phase));
      }
    }
  }
  return r;
}

size_t ConvTransposed::worker_bytes() const {
  size_t most = 0;
  for (const Phase& p : phases_) {
    const int64_t rows = std::min(p.blocks.rows, spec_.batch * p.pixels());
    most = std::max(most, static_cast<size_t>(rows * (p.taps() + 1)) * sizeof(float*));
  }
  return AlignUp(most);
}

size_t ConvTransposed::workspace_bytes() const {
  return worker_bytes() * static_cast<size_t>(machine_.threads);
}

size_t ConvTransposed::constant_bytes() const {
  size_t bytes = zeros_.bytes();
  for (const Phase& p : phases_) bytes += p.weights.bytes();
  return bytes;
}

// pointers[tap * (end - begin) + row - begin], rows[row - begin]
void ConvTransposed::FillRows(const Phase& phase, const ConvArgs& args, int64_t begin, int64_t end,
                              const float** pointers, float** rows) const {
  const Window& w = spec_.window;
  const auto& [az, ay, ax] = phase.axes;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t qx = row % ax.count, qy = row / ax.count % ay.count,
                  qz = row / (ax.count * ay.count) % az.count, b = row / phase.pixels();
    const int64_t z = az.first + qz * w.stride[0], y = ay.first + qy * w.stride[1],
                  x = ax.first + qx * w.stride[2];
    rows[row - begin] =
        args.out + (((b * w.out[0] + z) * w.out[1] + y) * w.out[2] + x) * args.out_stride;
    const float** at = pointers + (row - begin);
    for (int64_t dz : az.offsets) {
      for (int64_t dy : ay.offsets) {
        for (int64_t dx : ax.offsets) {
          const int64_t iz = qz + dz, iy = qy + dy, ix = qx + dx;
          const bool inside =
              iz >= 0 && iz < w.in[0] && iy >= 0 && iy < w.in[1] && ix >= 0 && ix < w.in[2];
          *at = inside ? args.in +
                             (((b * w.in[0] + iz) * w.in[1] + iy) * w.in[2] + ix) * args.in_stride
                       : zeros_.as<float>();
          at += end - begin;
        }
      }
    }
    if (at == pointers + (row - begin)) *at = zeros_.as<float>();
  }
}

void ConvTransposed::Run(const ConvArgs& args, const Parallel& parallel) const {
  const GemmKernels& kernels = GemmFor(machine_.target);
  const size_t per_worker = worker_bytes();
  int64_t tasks = 0;
  for (const Phase& p : phases_) tasks += p.blocks.tasks();
  parallel.For(tasks, [&](int64_t task, int worker) {
    const Phase* phase = phases_.data();
    for (; task >= phase->blocks.tasks(); ++phase) task -= phase->blocks.tasks();
    const GemmBlocks& blocks = phase->blocks;
    const int64_t begin = task / blocks.panel_groups * blocks.rows;
    const int64_t end = std::min(begin + blocks.rows, spec_.batch * phase->pixels());
    const int p0 = static_cast<int>(task % blocks.panel_groups) * blocks.panels;
    const int p1 = std::min(p0 + blocks.panels, static_cast<int>(phase->weights.panels.size()));
    auto** rows = reinterpret_cast<float**>(static_cast<std::byte*>(args.workspace) +
                                            static_cast<size_t>(worker) * per_worker);
    auto** pointers = const_cast<const float**>(rows + (end - begin));
    FillRows(*phase, args, begin, end, pointers, rows);
    GemmCall call;
    call.access = RowAccess::kPointers;
    call.pointers = pointers, call.pointer_stride = end - begin;
    call.panels = phase->weights.panels.data();
    call.b = phase->weights.data.as<float>(), call.bias = phase->weights.bias.as<float>();
    call.taps = phase->taps(), call.k = phase->weights.shape.k;
    call.prefetch = phase->prefetch;
    call.c_rows = rows;
    call.epilogue = spec_.epilogue;
    kernels.run(call, 0, end - begin, p0, p1);
  });
}

}  // namespace sula::cpu
