// Treating denormal numbers as zero: on the processors concerned each one costs some hundred
// cycles.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace sula {

// While it lives, this thread's vector unit flushes denormal results to zero and reads denormal
// operands as zero; the destructor restores what was set before.
class ScopedFlushDenormals {
 public:
#if defined(__x86_64__)
  ScopedFlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | kFlush); }
  // Restores the two bits alone: exception flags raised meanwhile stay.
  ~ScopedFlushDenormals() { _mm_setcsr((_mm_getcsr() & ~kFlush) | (saved_ & kFlush)); }
#elif defined(__aarch64__)
  ScopedFlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(saved_ | kFlush));
  }
  ~ScopedFlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }
#else
  ScopedFlushDenormals() = default;
#endif
  ScopedFlushDenormals(const ScopedFlushDenormals&) = delete;
  ScopedFlushDenormals& operator=(const ScopedFlushDenormals&) = delete;

 private:
#if defined(__x86_64__)
  static constexpr uint32_t kFlush = 0x8040;  // MXCSR.FTZ | MXCSR.DAZ
  uint32_t saved_;
#elif defined(__aarch64__)
  static constexpr uint64_t kFlush = uint64_t{1} << 24;  // FPCR.FZ
  uint64_t saved_;
#endif
};

}  // namespace sula
