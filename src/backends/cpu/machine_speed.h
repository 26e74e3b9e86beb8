// What the machine can do at most, measured.
#pragma once

namespace sula::cpu {

// Floating-point operations per second of `threads` threads at once, float32 multiply-adds out of
// registers with the strongest instruction set. Takes 5 ms, on a busy machine
// up to 40.
double MeasureFlops(int threads);

// Bytes per second that `threads` threads at once read from memory, from a block twice as large as
// the last-level cache (at most 256 MiB; 0 where that is not to be had). Takes tens of
// milliseconds, most of them to get the memory.
double MeasureReadBandwidth(int threads);

}  // namespace sula::cpu
