#include <immintrin.h>

#include "backends/cpu/kernels/pixels/pixels_body.h"
#include "backends/cpu/kernels/pixels/pixels_targets.h"

namespace sula::cpu {
namespace {

struct WidenAvx2 {
  [[gnu::always_inline]] static PixelInts Load(const uint8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return reinterpret_cast<PixelInts>(_mm256_cvtepu8_epi32(bytes));
  }
};

}  // namespace

constinit const PixelKernels kPixelsAvx2 = MakePixelKernels<WidenAvx2>();

}  // namespace sula::cpu
