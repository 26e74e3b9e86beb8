// Convolution and pooling kernels, in every variant the machine can run, against plain loops in
// double precision.
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "backends/cpu/kernels/conv/narrow.h"
#include "backends/cpu/kernels/conv/patches.h"
#include "backends/cpu/kernels/depthwise/depthwise.h"
#include "backends/cpu/kernels/pool/pool.h"
#include "backends_cpu/conv_check.h"

namespace sula::cpu {
namespace {

template <class Impl>
void Check(const Case& c, bool planar = false, double tolerance = 1) {
  CheckConv(c, Impl::Make, planar, tolerance);
}

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(ConvGemm, ChannelCounts) {
  for (int64_t channels : {1, 3, 7, 16, 17, 24, 33, 58}) {
    SCOPED_TRACE(channels);
    Check<ConvGemm>({{1, channels, 59 - channels, 1, Square(5, 7, 1, 1, 1, 0, 0)}, 3});
    Check<ConvGemm>({{1, 59 - channels, channels, 1, Square(5, 4, 3, 1, 1, 1, 1)}, 5});
  }
}

TEST(ConvGemm, Windows) {
  Check<ConvGemm>({{2, 5, 19, 1, Square(9, 8, 3, 2, 1, 1, 0)}});
  Check<ConvGemm>({{1, 4, 8, 1, Square(11, 13, 3, 3, 2, 2, 1)}, 1});
  Check<ConvGemm>({{1, 4, 8, 1, Square(8, 9, 5, 1, 1, 2, 2)}});
  Check<ConvGemm>({{1, 4, 40, 1, Square(9, 9, 1, 2, 1, 0, 0)}});
  // Padding wider than the window: whole windows outside.
  Check<ConvGemm>({{1, 3, 5, 1, Square(3, 4, 2, 1, 1, 3, 3)}});
  Check<ConvGemm>(
      {{1, 6, 9, 1, MakeWindow({1, 5, 9}, {1, 1, 7}, {1, 1, 1}, {1, 1, 1}, {0, 0, 3}, {0, 0, 3})}});
  Check<ConvGemm>(
      {{2, 6, 9, 1,
        MakeWindow({1, 1, 31}, {1, 1, 4}, {1, 1, 3}, {1, 1, 2}, {0, 0, 1}, {0, 0, 2})}});
  Check<ConvGemm>(
      {{2, 3, 9, 1, MakeWindow({4, 5, 6}, {3, 2, 3}, {2, 1, 1}, {1, 2, 1}, {1, 0, 2}, {1, 1, 0})}});
}

TEST(ConvGemm, Groups) {
  Check<ConvGemm>({{1, 12, 18, 3, Square(6, 5, 3, 1, 1, 1, 1)}, 2});
  Check<ConvGemm>({{1, 32, 32, 8, Square(6, 5, 3, 2, 1, 1, 1)}});
  Check<ConvGemm>({{2, 9, 27, 9, Square(4, 5, 3, 1, 1, 1, 1)}, 1});  // multiplier 3
  Check<ConvGemm>({{1, 66, 99, 3, Square(3, 4, 1, 1, 1, 0, 0)}});
}

TEST(ConvGemm, EpilogueAndResidual) {
  const Epilogue epilogues[] = {{0, kInf},
                                {0, 6},
                                {.curve = Curve::kLeakyRelu, .a = .1f},
                                {.curve = Curve::kSigmoid},
                                {.curve = Curve::kTanh},
                                {.curve = Curve::kHardSigmoid, .a = .2f, .b = .5f},
                                {.curve = Curve::kHardSwish},
                                {.curve = Curve::kSwish, .a = 1},
                                {.curve = Curve::kGelu}};
  for (const Epilogue& e : epilogues) {
    for (bool residual : {false, true}) {
      Check<ConvGemm>({{1, 5, 21, 1, Square(6, 5, 3, 1, 1, 1, 1), e}, 2, residual});
      Check<ConvGemm>({{1, 5, 21, 1, Square(6, 5, 1, 1, 1, 0, 0), e}, 2, residual});
      Check<ConvGemm>({{1, 5, 70, 1, Square(1, 1, 1, 1, 1, 0, 0), e}, 2, residual});
      Check<Depthwise>({{1, 21, 21, 21, Square(6, 5, 3, 1, 1, 1, 1), e}, 2, residual});
      Check<ConvPlanar>({{1, 2, 21, 1, Square(6, 5, 3, 1, 1, 1, 1), e}, 2, residual}, true);
      Check<ConvNarrow>({{1, 5, 3, 1, Square(6, 5, 3, 1, 1, 1, 1), e}, 2, residual});
    }
  }
}

// One row, of panels two and three vectors wide, an odd and an even number of them.
TEST(ConvGemm, OnePixel) {
  for (int64_t outputs : {7, 16, 40, 60, 100, 130})
    Check<ConvGemm>({{1, 150, outputs, 1, Square(1, 1, 1, 1, 1, 0, 0)}, 1});
  Check<ConvGemm>({{1, 66, 99, 3, Square(1, 1, 1, 1, 1, 0, 0)}});
  Check<ConvGemm>({{1, 400, 60, 2, Square(1, 1, 1, 1, 1, 0, 0)}});
}

TEST(ConvGemm, ManyTasks) {
  Check<ConvGemm>({{2, 24, 130, 1, Square(28, 27, 1, 1, 1, 0, 0)}});
  Check<ConvGemm>({{1, 40, 300, 1, Square(7, 7, 3, 1, 1, 1, 1)}});
}

TEST(ConvPlanar, Windows) {
  Check<ConvPlanar>({{1, 3, 32, 1, Square(17, 19, 3, 2, 1, 1, 1)}}, true);
  Check<ConvPlanar>({{2, 3, 17, 1, Square(20, 21, 7, 2, 1, 3, 3)}, 3}, true);
  Check<ConvPlanar>({{1, 1, 5, 1, Square(9, 8, 5, 1, 1, 2, 1)}}, true);
  Check<ConvPlanar>({{1, 4, 8, 1, Square(19, 23, 3, 3, 2, 2, 2)}}, true);
  Check<ConvPlanar>({{1, 3, 96, 1, Square(33, 35, 11, 4, 1, 2, 2)}}, true);
  Check<ConvPlanar>({{1, 3, 7, 1, Square(4, 3, 4, 1, 1, 5, 5)}}, true);
}

TEST(ConvNarrow, Windows) {
  for (int64_t outputs = 1; outputs <= kMaxNarrowOutputs; ++outputs) {
    SCOPED_TRACE(outputs);
    Check<ConvNarrow>({{2, 19, outputs, 1, Square(9, 23, 3, 1, 1, 1, 1)}, 3});
    Check<ConvNarrow>({{1, 8, outputs, 1, Square(21, 130, 5, 1, 1, 2, 2)}});
    Check<ConvNarrow>({{1, 1, outputs, 1, Square(7, 9, 1, 1, 1, 0, 0)}, 2});
  }
  Check<ConvNarrow>({{1, 5, 3, 1, Square(12, 33, 3, 1, 2, 2, 2)}, 1});
  Check<ConvNarrow>({{1, 5, 3, 1, Square(5, 8, 9, 1, 1, 4, 4)}});
  Check<ConvNarrow>({{1, 3, 2, 1, Square(3, 4, 2, 1, 1, 3, 3)}});  // whole windows outside
  Check<ConvNarrow>(
      {{2, 6, 3, 1,
        MakeWindow({1, 1, 31}, {1, 1, 4}, {1, 1, 1}, {1, 1, 2}, {0, 0, 1}, {0, 0, 2})}});
  Check<ConvNarrow>(
      {{1, 6, 2, 1, MakeWindow({1, 9, 7}, {1, 3, 2}, {1, 2, 1}, {1, 1, 1}, {0, 1, 0}, {0, 1, 1})}});
}

TEST(ConvPatches, Windows) {
  const auto patches = [](Axes out, Axes kernel, Axes rest) {
    const Axes in = {out[0] * kernel[0] + rest[0], out[1] * kernel[1] + rest[1],
                     out[2] * kernel[2] + rest[2]};
    return MakeWindow(in, kernel, kernel, {1, 1, 1}, {0, 0, 0}, {0, 0, 0});
  };
  Check<ConvPatches>({{2, 3, 37, 1, patches({1, 5, 7}, {1, 16, 16}, {0, 0, 0})}}, true);
  Check<ConvPatches>({{1, 5, 24, 1, patches({1, 9, 11}, {1, 2, 3}, {0, 1, 2})}, 3}, true);
  Check<ConvPatches>({{2, 2, 9, 1, patches({1, 1, 13}, {1, 1, 5}, {0, 0, 4})}}, true);
  Check<ConvPatches>({{1, 1, 1, 1, patches({3, 2, 2}, {2, 3, 4}, {1, 1, 1})}, 1}, true);
  Check<ConvPatches>(
      {{1, 2, 21, 1, patches({1, 3, 3}, {1, 4, 4}, {0, 0, 0}), {.curve = Curve::kGelu}}, 2, true},
      true);
}

TEST(Depthwise, Windows) {
  for (int64_t channels : {1, 3, 16, 24, 33, 130}) {
    SCOPED_TRACE(channels);
    for (int64_t stride : {1, 2, 3}) {
      SCOPED_TRACE(stride);
      Check<Depthwise>({{2, channels, channels, channels, Square(9, 19, 3, stride, 1, 1, 1)}, 1});
      Check<Depthwise>({{1, channels, channels, channels, Square(8, 7, 5, stride, 1, 2, 2)}});
    }
  }
  for (int64_t stride : {1, 2})  // pixels of whole KiB
    Check<Depthwise>({{2, 512, 512, 512, Square(5, 6, 3, stride, 1, 1, 1)}});
  // Rows and columns that differ.
  for (const Axes& stride : {Axes{1, 1, 2}, Axes{1, 2, 1}, Axes{2, 3, 1}}) {
    Check<Depthwise>(
        {{2, 20, 20, 20,
          MakeWindow({2, 9, 11}, {1, 5, 3}, stride, {1, 1, 1}, {0, 2, 1}, {1, 2, 1})}});
    Check<Depthwise>({{1, 512, 512, 512,
                       MakeWindow({1, 9, 4}, {1, 3, 5}, stride, {1, 2, 1}, {0, 2, 3}, {0, 3, 4})}});
  }
  Check<Depthwise>({{1, 20, 20, 20, Square(9, 10, 3, 1, 2, 2, 2)}});
  Check<Depthwise>({{1, 20, 20, 20, Square(3, 2, 3, 1, 1, 2, 2)}});  // all edge
  for (int64_t channels : {20, 512}) {  // rows, and rows and columns, of padding alone
    const Axes rows = {0, 4, 1}, both = {0, 4, 4};
    Check<Depthwise>({{1, channels, channels, channels,
                       MakeWindow({1, 3, 5}, {1, 3, 3}, {1, 1, 1}, {1, 1, 1}, rows, rows)}});
    Check<Depthwise>({{1, channels, channels, channels,
                       MakeWindow({1, 3, 5}, {1, 3, 3}, {1, 2, 2}, {1, 1, 1}, both, both)}});
  }
  Check<Depthwise>({{1, 20, 20, 20, Square(3, 2, 3, 2, 1, 0, 3)}});
  Check<Depthwise>({{1, 20, 20, 20, Square(9, 10, 7, 1, 1, 3, 3)}});
  Check<Depthwise>(
      {{2, 5, 5, 5, MakeWindow({4, 5, 6}, {3, 2, 3}, {2, 1, 1}, {1, 2, 1}, {1, 0, 2}, {1, 1, 0})}});
}

void CheckPool(const PoolCall& shape, int64_t pad_channels) {
  const Window& w = shape.window;
  const Map in(shape.batch * w.in_pixels(), shape.channels, shape.channels + pad_channels, 1);
  for (Target target : AvailableTargets()) {
    for (int threads : {1, 2}) {
      SCOPED_TRACE(testing::Message() << Name(target) << ", " << threads << " threads");
      Map out(shape.batch * w.out_pixels(), shape.channels, shape.channels + pad_channels, 2);
      PoolCall call = shape;
      call.in = in.data.data(), call.in_stride = in.stride;
      call.out = out.data.data(), call.out_stride = out.stride;
      RunPool(call, target, Parallel(threads));
      out.CheckGuards();
      for (int64_t p = 0; p < out.pixels; ++p) {
        const int64_t o = p % w.out_pixels(), image = p / w.out_pixels() * w.in_pixels();
        for (int64_t c = 0; c < shape.channels; ++c) {
          double sum = 0, top = -kInf;
          int64_t count = 0;
          ForTaps(w, o, [&](int64_t, int64_t pixel) {
            const float x = in.at(image + pixel, c);
            sum += x, top = std::max<double>(top, x), ++count;
          });
          if (call.kind == PoolKind::kMeanPadding) {
            const Axes at = {o / (w.out[1] * w.out[2]), o / w.out[2] % w.out[1], o % w.out[2]};
            count = 1;
            for (size_t i = 0; i < 3; ++i) {
              int64_t inside = 0;
              for (int64_t k = 0; k < w.kernel[i]; ++k)
                inside +=
                    at[i] * w.stride[i] + k * w.dilation[i] - w.pad[i] < w.in[i] + call.pad_end[i];
              count *= inside;
            }
          }
          const double want = call.kind == PoolKind::kMax ? top
                              : count                     ? sum / static_cast<double>(count)
                                                          : 0;
          // A mean's rounding: one eps per addition and two at the end, relative to the largest.
          const double allowed = call.kind == PoolKind::kMax ? 0 : kEps * (double(count) + 2);
          if (want == -kInf) {
            ASSERT_EQ(out.at(p, c), want);
          } else {
            ASSERT_NEAR(out.at(p, c), want, allowed) << "pixel " << p << " channel " << c;
          }
        }
      }
    }
  }
}

TEST(Pool, Windows) {
  for (PoolKind kind : {PoolKind::kMax, PoolKind::kMean, PoolKind::kMeanPadding}) {
    for (int64_t channels : {1, 17, 64, 259}) {
      PoolCall call;
      call.kind = kind;
      call.channels = channels;
      call.batch = 2;
      call.window = Square(9, 8, 3, 2, 1, 1, 1);
      call.pad_end = {0, 1, 1};
      CheckPool(call, 3);
      call.window = Square(7, 9, 2, 2, 1, 0, 1);
      call.pad_end = {0, 0, 0};  // as ceil_mode reaches behind the declared padding
      CheckPool(call, 0);
      call.window = Square(7, 9, 3, 1, 2, 2, 2);
      call.pad_end = {0, 2, 2};
      CheckPool(call, 0);
      call.window = MakeWindow({1, 1, 49}, {1, 1, 49}, {1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0});
      call.pad_end = {0, 0, 0};
      CheckPool(call, 1);
    }
  }
}

}  // namespace
}  // namespace sula::cpu
