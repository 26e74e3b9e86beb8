#include "base/lockstep.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <thread>

#include "base/spin.h"

namespace sula {
namespace {

// The next piece to hand out, in one word: the step, and below it the set of its pieces that are
// taken. A full set is the empty set of the next step.
constexpr int kSetBits = kMaxLockstepPieces;

struct alignas(128) Chain {
  std::atomic<uint64_t> next{0};
  // Finished pieces of all steps. It may wrap: what is compared lies at most a step apart.
  alignas(64) std::atomic<uint32_t> done{0};
};

enum class Found { kPiece, kNotReady, kNoneLeft };

// Takes a piece of the chain, `own` if it is there to take, once the step before is done.
Found Take(Chain& chain, int own, int pieces, int64_t steps, int64_t& taken_step,
           int& taken_piece) {
  const uint64_t all = (uint64_t{1} << pieces) - 1;
  uint64_t word = chain.next.load(std::memory_order_relaxed);
  for (;;) {
    const uint64_t step = word >> kSetBits, set = word & ((uint64_t{1} << kSetBits) - 1);
    if (step == static_cast<uint64_t>(steps)) return Found::kNoneLeft;
    const uint32_t before = static_cast<uint32_t>(step * static_cast<uint64_t>(pieces));
    if (static_cast<int32_t>(chain.done.load(std::memory_order_acquire) - before) < 0)
      return Found::kNotReady;
    const int piece = (set >> own & 1) == 0 ? own : std::countr_one(set);
    const uint64_t with = set | uint64_t{1} << piece;
    const uint64_t then = with == all ? (step + 1) << kSetBits : step << kSetBits | with;
    if (chain.next.compare_exchange_weak(word, then, std::memory_order_relaxed)) {
      taken_step = static_cast<int64_t>(step), taken_piece = piece;
      return Found::kPiece;
    }
  }
}

// Waiting between two looks: pauses, and yields from some 50 microseconds on.
class Patience {
 public:
  void Pause() {
    SpinPause();
    if (++looks_ % 64 != 0) return;
    const Clock::time_point now = Clock::now();
    if (looks_ == 64) begin_ = now;
    if (now - begin_ > std::chrono::microseconds(50)) std::this_thread::yield();
  }
  void Reset() { looks_ = 0; }

 private:
  using Clock = std::chrono::steady_clock;
  uint64_t looks_ = 0;
  Clock::time_point begin_;
};

}  // namespace

void RunLockstep(const Parallel& parallel, int chains, int pieces, int64_t steps,
                 FunctionRef<void(int chain, int64_t step, int piece)> fn) {
  const Parallel threads(std::min(parallel.threads(), chains * pieces));
  std::array<Chain, kMaxLockstepChains> state;
  threads.For(threads.threads(), [&](int64_t, int worker) {
    const int own = worker % pieces, first = worker / pieces % chains;
    Patience patience;
    for (;;) {
      bool left = false, ran = false;
      for (int i = 0; i < chains && !ran; ++i) {
        const int c = (first + i) % chains;
        Chain& chain = state[static_cast<size_t>(c)];
        int64_t step = 0;
        int piece = 0;
        const Found found = Take(chain, own, pieces, steps, step, piece);
        left |= found != Found::kNoneLeft;
        if (found != Found::kPiece) continue;
        fn(c, step, piece);
        chain.done.fetch_add(1, std::memory_order_acq_rel);
        ran = true;
      }
      if (!left) return;
      if (ran) {
        patience.Reset();
      } else {
        patience.Pause();
      }
    }
  });
}

}  // namespace sula
