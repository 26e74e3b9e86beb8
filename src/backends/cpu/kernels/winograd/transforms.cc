#include "backends/cpu/kernels/winograd/transforms.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels/winograd/winograd_targets.h"

namespace sula::cpu {
namespace {

// Between the passes of two axes, so many channels of a run of tiles lie in L1: at 24 KiB with room
// for what they come from. Neighbouring tiles overlap in the input, so that the first pass does the
// less work the longer the run.
constexpr int64_t kChannels = 32;
constexpr int64_t kScratchFloats = 6 << 10;
static_assert(kScratchFloats >= kMaxWinogradSize * kMaxWinogradSize * kChannels);

// Neighbouring tiles of one row of tiles.
struct Run {
  int64_t image, row, column, tiles, at;  // at: of v and m
};

// Calls fn(run) for runs of at most `most` tiles that make up [begin, end).
template <class Fn>
void ForRuns(const WinogradCall& call, int64_t begin, int64_t end, int64_t most, Fn fn) {
  for (int64_t t = begin; t < end;) {
    const int64_t column = t % call.tile_columns, row = t / call.tile_columns;
    // Runs of nearly equal length.
    const int64_t left = std::min(call.tile_columns - column, end - t);
    const int64_t parts = (left + most - 1) / most, tiles = (left + parts - 1) / parts;
    fn(Run{row / call.tile_rows, row % call.tile_rows, column, tiles, t - call.first_tile});
    t += tiles;
  }
}

// Passes along the axis of `element` over neighbouring items, from pixels that may lie outside.
class InputPass {
 public:
  InputPass(const WinogradCall& call, const WinogradAxis& axis)
      : call_(call),
        run_(call.kernels->input[static_cast<size_t>(IndexOf(axis))]),
        inputs_(axis.inputs()) {}

  // Element e of item i is pixel (y + e * down + i * item_down, x + e * right + i * item_right);
  // channels [c, c + channels). `pass` has `to` and its strides.
  struct Places {
    int64_t image, y, x, down, right, item_down, item_right;
  };
  void Run(const Places& p, int64_t items, int64_t c, int64_t channels, WinogradPass pass) const {
    const Window& w = *call_.window;
    const float* from[kMaxWinogradSize];
    pass.from = from, pass.channels = channels;
    pass.from_step = (p.item_down * w.in[2] + p.item_right) * call_.in_stride;
    for (int64_t i = 0; i < items;) {
      const int64_t y = p.y + i * p.item_down, x = p.x + i * p.item_right;
      const int64_t inside = ItemsInside(p, y, x, items - i);
      pass.items = std::max<int64_t>(1, inside);
      for (int64_t e = 0; e < inputs_; ++e) {
        const int64_t ey = y + e * p.down, ex = x + e * p.right;
        const bool in_map = ey >= 0 && ey < w.in[1] && ex >= 0 && ex < w.in[2];
        from[e] = in_map
                      ? call_.in + ((p.image * w.in[1] + ey) * w.in[2] + ex) * call_.in_stride + c
                      : call_.zeros;
      }
      run_(pass);
      pass.to += pass.items * pass.to_step;
      i += pass.items;
    }
  }

 private:
  // How many of the next `items` lie inside with all their elements, before the first that doesn't.
  int64_t ItemsInside(const Places& p, int64_t y, int64_t x, int64_t items) const {
    const Window& w = *call_.window;
    const int64_t last_y = y + (inputs_ - 1) * p.down, last_x = x + (inputs_ - 1) * p.right;
    if (y < 0 || x < 0 || last_y >= w.in[1] || last_x >= w.in[2]) return 0;
    if (p.item_down > 0) items = std::min(items, (w.in[1] - 1 - last_y) / p.item_down + 1);
    if (p.item_right > 0) items = std::min(items, (w.in[2] - 1 - last_x) / p.item_right + 1);
    return items;
  }

  const WinogradCall& call_;
  void (*run_)(const WinogradPass&);
  int64_t inputs_;
};

}  // namespace

const WinogradKernels& WinogradFor(Target target) {
  static constexpr Variants<WinogradKernels> kVariants = {
      &kWinogradScalar,
      &kWinogradScalar16,
#ifdef SULA_CPU_SIMD
      &kWinogradAvx2,
      &kWinogradAvx512,
#endif
  };
  return Pick(kVariants, target);
}

void TransformInput(const WinogradCall& call, int64_t begin, int64_t end) {
  const WinogradAxis &rows = call.form.rows, &columns = call.form.columns;
  const InputPass row_pass(call, rows), column_pass(call, columns);
  const auto second = call.kernels->input[static_cast<size_t>(IndexOf(columns))];
  const bool one = rows.IsIdentity() || columns.IsIdentity();
  const int64_t step = columns.input_step(), height = rows.products();
  // Widest run that fits: height * ((tiles - 1) * step + inputs) pixels.
  const int64_t most =
      one ? call.tile_columns
          : std::max<int64_t>(1,
                              (kScratchFloats / kChannels / height - columns.inputs()) / step + 1);
  alignas(64) float scratch[kScratchFloats];
  ForRuns(call, begin, end, most, [&](const Run& run) {
    const int64_t y = call.origin_row + run.row * rows.input_step();
    const int64_t x = call.origin_column + run.column * step;
    WinogradPass to_v;
    to_v.to = call.v + run.at * call.v_stride;
    to_v.to_element = call.v_plane, to_v.to_step = call.v_stride;
    if (rows.IsIdentity())
      return column_pass.Run({run.image, y, x, 0, 1, 0, step}, run.tiles, 0, call.in_channels,
                             to_v);
    if (columns.IsIdentity())
      return row_pass.Run({run.image, y, x, 1, 0, 0, 1}, run.tiles, 0, call.in_channels, to_v);
    const int64_t width = (run.tiles - 1) * step + columns.inputs();
    const int64_t lanes = call.kernels->lanes;
    for (int64_t c = 0; c < call.in_channels; c += kChannels) {
      const int64_t channels = std::min(kChannels, call.in_channels - c);
      WinogradPass first;
      first.to = scratch, first.to_element = width * kChannels, first.to_step = kChannels;
      row_pass.Run({run.image, y, x, 1, 0, 0, 1}, width, c, channels, first);
      WinogradPass pass = to_v;
      pass.to += c;
      const float* from[kMaxWinogradSize];
      pass.from = from, pass.from_step = step * kChannels;
      pass.items = run.tiles, pass.channels = (channels + lanes - 1) / lanes * lanes;
      for (int64_t i = 0; i < height; ++i) {
        for (int64_t e = 0; e < columns.inputs(); ++e)
          from[e] = scratch + (i * width + e) * kChannels;
        second(pass);
        pass.to += columns.products() * call.v_plane;
      }
    }
  });
}

void TransformOutput(const WinogradCall& call, int64_t begin, int64_t end) {
  const Window& w = *call.window;
  const WinogradAxis &rows = call.form.rows, &columns = call.form.columns;
  const auto first = call.kernels->output[static_cast<size_t>(IndexOf(rows))];
  const bool by_rows = columns.IsIdentity();
  const auto final = call.kernels->final[static_cast<size_t>(IndexOf(by_rows ? rows : columns))];
  const int64_t width = columns.products(), pixels = columns.outputs();
  const bool one = rows.IsIdentity() || by_rows;
  const int64_t most =
      one ? call.tile_columns
          : std::max<int64_t>(1, kScratchFloats / kChannels / (rows.outputs() * width));
  alignas(64) float scratch[kScratchFloats];
  ForRuns(call, begin, end, most, [&](const Run& run) {
    const int64_t y = run.row * rows.outputs(), x = run.column * pixels;
    const int64_t height = std::min<int64_t>(rows.outputs(), w.out[1] - y);
    const int64_t valid = std::min(run.tiles * pixels, w.out[2] - x);
    const int64_t corner = (run.image * w.out[1] + y) * w.out[2] + x;
    const float* m = call.m + run.at * call.m_stride;
    const float* from[kMaxWinogradSize];
    auto set_from = [&](const float* base, int64_t element, int64_t count) {
      for (int64_t e = 0; e < count; ++e) from[e] = base + e * element;
    };
    WinogradFinalPass pass;
    pass.from = from;
    pass.epilogue = &call.epilogue;
    auto at_pixel = [&](int64_t pixel, int64_t c) {
      pass.bias = call.bias + c;
      pass.out = call.out + pixel * call.out_stride + c;
      pass.residual = call.residual ? call.residual + pixel * call.residual_stride + c : nullptr;
    };
    auto set_steps = [&](int64_t element, int64_t step) {
      pass.out_element = element * call.out_stride, pass.out_step = step * call.out_stride;
      pass.residual_element = element * call.residual_stride;
      pass.residual_step = step * call.residual_stride;
    };
    // A row of whole tiles, and a last one that reaches beyond the map.
    auto run_row = [&](int64_t pixel, int64_t c) {
      at_pixel(pixel, c);
      pass.items = valid / pixels, pass.outputs = static_cast<int>(pixels);
      final(pass);
      if (valid % pixels == 0) return;
      at_pixel(pixel + pass.items * pixels, c);
      for (int64_t e = 0; e < width; ++e) from[e] += pass.items * pass.from_step;
      pass.items = 1, pass.outputs = static_cast<int>(valid % pixels);
      final(pass);
    };
    if (one) {
      pass.from_step = call.m_stride, pass.channels = call.out_channels;
      set_from(m, call.m_plane, call.form.positions());
      if (by_rows) {
        set_steps(w.out[2], 1);
        at_pixel(corner, 0);
        pass.items = run.tiles, pass.outputs = static_cast<int>(height);
        final(pass);
      } else {
        set_steps(1, pixels);
        run_row(corner, 0);
      }
      return;
    }
    set_steps(1, pixels);
    for (int64_t c = 0; c < call.out_channels; c += kChannels) {
      const int64_t channels = std::min(kChannels, call.out_channels - c);
      WinogradPass columns_pass;
      columns_pass.from = from, columns_pass.from_step = call.m_stride;
      columns_pass.to_element = run.tiles * width * kChannels;
      columns_pass.to_step = width * kChannels;
      columns_pass.items = run.tiles;
      const int64_t lanes = call.kernels->lanes;
      columns_pass.channels = (channels + lanes - 1) / lanes * lanes;
      for (int64_t j = 0; j < width; ++j) {
        set_from(m + j * call.m_plane + c, width * call.m_plane, rows.products());
        columns_pass.to = scratch + j * kChannels;
        first(columns_pass);
      }
      pass.from_step = width * kChannels, pass.channels = channels;
      for (int64_t k = 0; k < height; ++k) {
        set_from(scratch + k * columns_pass.to_element, kChannels, width);
        run_row(corner + k * w.out[2], c);
      }
    }
  });
}

}  // namespace sula::cpu
