// Steps that follow each other, each of them cut into pieces, within one parallel job.
#pragma once

#include <cstdint>

#include "base/function_ref.h"
#include "base/thread_pool.h"

namespace sula {

inline constexpr int kMaxLockstepChains = 2, kMaxLockstepPieces = 16;

// Calls fn(chain, step, piece) once for each chain in [0, chains), step in [0, steps) and piece in
// [0, pieces). A step begins when all pieces of the same chain's step before are done, and what
// they wrote is visible to it; chains are independent of each other. For steps of some
// microseconds, where a call of Parallel::For each would cost too much.
//
// Each thread has a piece of its own, that of worker w being piece w % pieces of chain (w / pieces)
// % chains, and takes that one step after step, so that what the piece reads stays in that core's
// caches; it takes another only if nobody else has come for it. So this is correct, and free of
// deadlock, on however few threads the pool really gives: what is taken is being run. Threads that
// wait have taken nothing, and spin; after some 50 microseconds they yield the processor, which
// another thread may have lost.
//
// Preconditions: 1 <= chains <= kMaxLockstepChains, 1 <= pieces <= kMaxLockstepPieces, 0 <= steps <
// 2^47. Allocates nothing.
void RunLockstep(const Parallel& parallel, int chains, int pieces, int64_t steps,
                 FunctionRef<void(int chain, int64_t step, int piece)> fn);

}  // namespace sula
