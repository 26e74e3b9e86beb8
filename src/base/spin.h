// What a loop that waits for another thread does between two looks.
#pragma once

namespace sula {

inline void SpinPause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");  // "yield" returns at once on most cores
#endif
}

}  // namespace sula
