#include "backends/cpu/kernels/pixels/pixels_body.h"
#include "backends/cpu/kernels/pixels/pixels_targets.h"

namespace sula::cpu {
namespace {

struct WidenScalar16 {
  [[gnu::always_inline]] static PixelInts Load(const uint8_t* p) {
    return PixelInts{p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]};
  }
};

}  // namespace

constinit const PixelKernels kPixelsScalar16 = MakePixelKernels<WidenScalar16>();

}  // namespace sula::cpu
