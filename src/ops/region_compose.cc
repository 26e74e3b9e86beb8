// Composition of boxes: axis by axis of the tensor in the middle, the places that the outer box
// reads against those that the inner one writes. Along one axis both are sums of loops (mixed
// radices, where the loops of one are not one walk); the loops are cut until they match.
#include <algorithm>
#include <numeric>
#include <utility>

#include "ops/regions.h"

namespace sula {
namespace {

// x with a x = b (mod m), 0 <= x < m; nothing if there is none. m below 2^31, so nothing overflows.
std::optional<int64_t> SolveModulo(int64_t a, int64_t b, int64_t m) {
  int64_t r0 = m, r1 = (a % m + m) % m, t0 = 0, t1 = 1;
  while (r1 != 0) {
    const int64_t q = r0 / r1;
    r0 = std::exchange(r1, r0 - q * r1);
    t0 = std::exchange(t1, t0 - q * t1);
  }
  if (r0 != 1) return std::nullopt;
  return ((b % m + m) % m) * ((t0 % m + m) % m) % m;
}

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }
int64_t CeilDiv(int64_t a, int64_t b) { return -FloorDiv(-a, b); }

enum class Meeting { kYes, kNever, kNoBox };

// The state of one composition.
class Composer {
 public:
  Composer(const Region& outer, const Region& inner) : outer_(outer), inner_(inner) {
    result_ = {inner.source, outer.to_begin, inner.from_begin, {}};
  }

  Meeting Run() {
    for (const RegionAxis& a : outer_.axes)
      if (a.from < 0) result_.axes.push_back(a);
    for (int m = 0; m < static_cast<int>(outer_.from_begin.size()); ++m)
      if (const Meeting meeting = Along(m); meeting != Meeting::kYes) return meeting;
    Normalize(result_);
    return Meeting::kYes;
  }
  Region&& TakeResult() { return std::move(result_); }

 private:
  // Composes what moves along axis m of the middle.
  Meeting Along(int m) {
    reads_.clear();
    writes_.clear();
    at_ = outer_.from_begin[m] - inner_.to_begin[m];
    for (RegionAxis a : outer_.axes) {
      if (a.from != m) continue;
      if (a.from_step < 0) {
        at_ += (a.count - 1) * a.from_step;
        result_.to_begin[a.to] += (a.count - 1) * a.to_step;
        a.from_step = -a.from_step;
        a.to_step = -a.to_step;
      }
      reads_.push_back(a);
    }
    for (const RegionAxis& a : inner_.axes)
      if (a.to == m) writes_.push_back(a);
    std::stable_sort(reads_.begin(), reads_.end(), [](const RegionAxis& a, const RegionAxis& b) {
      return a.from_step > b.from_step;
    });  // writes_ are sorted by falling to_step already
    while (reads_.size() > 1 || writes_.size() > 1) {
      if (writes_.size() <= 1) return ManyReads();
      if (reads_.empty()) reads_.push_back({1, 0, 0, -1, writes_.back().to_step});
      if (!CutInnermost()) {
        if (reads_.size() > 1) return Meeting::kNoBox;
        const Meeting meeting = InOneRow();
        if (meeting != Meeting::kYes) return meeting;
      }
    }
    return OneEach();
  }

  // Takes the innermost loops that match off both lists, cutting the longer of the two. False if
  // they don't match.
  bool CutInnermost() {
    RegionAxis &read = reads_.back(), &write = writes_.back();
    const int64_t step = write.to_step, count = std::min(read.count, write.count);
    if (read.from_step != step || count <= 1) return false;
    if (read.count % count != 0 || write.count % count != 0) return false;
    // All the rest must go in steps of what is taken off.
    const int64_t taken = step * count;
    if (at_ % taken != 0) return false;
    for (size_t i = 0; i + 1 < reads_.size(); ++i)
      if (reads_[i].from_step % taken != 0) return false;
    for (size_t i = 0; i + 1 < writes_.size(); ++i)
      if (writes_[i].to_step % taken != 0) return false;
    result_.axes.push_back({count, read.to, read.to_step, write.from, write.from_step});
    read.count /= count, read.from_step *= count, read.to_step *= count;
    write.count /= count, write.to_step *= count, write.from_step *= count;
    if (read.count == 1) reads_.pop_back();
    if (write.count == 1) writes_.pop_back();
    return true;
  }

  // One read that stays between two steps of the next loop of writes: fixes that loop's place.
  Meeting InOneRow() {
    const RegionAxis read = reads_[0];
    const int64_t extent = (read.count - 1) * read.from_step;
    RegionAxis& outermost = writes_[0];
    int64_t below = 0;  // how far the inner loops of writes reach
    for (size_t i = 1; i < writes_.size(); ++i)
      below += (writes_[i].count - 1) * writes_[i].to_step;
    if (below >= outermost.to_step) return Meeting::kNoBox;
    const int64_t row = FloorDiv(at_, outermost.to_step);
    if (at_ + extent >= (row + 1) * outermost.to_step) return Meeting::kNoBox;
    if (row < 0 || row >= outermost.count) return Meeting::kNever;
    at_ -= row * outermost.to_step;
    if (outermost.from >= 0) result_.from_begin[outermost.from] += row * outermost.from_step;
    writes_.erase(writes_.begin());
    return Meeting::kYes;
  }

  // Several loops of reads, at most one of writes: each position of the outermost loop must be
  // inside or outside with all that the others read from there.
  Meeting ManyReads() {
    const int64_t step = writes_.empty() ? 1 : writes_[0].to_step;
    const int64_t size = writes_.empty() ? 1 : writes_[0].count;
    int64_t extent = 0;
    for (size_t i = 1; i < reads_.size(); ++i) {
      if (reads_[i].from_step % step != 0) return Meeting::kNoBox;
      extent += (reads_[i].count - 1) * reads_[i].from_step;
    }
    RegionAxis& outermost = reads_[0];
    if (outermost.from_step % step != 0) return Meeting::kNoBox;
    if (at_ % step != 0) return Meeting::kNever;
    const int64_t last = (size - 1) * step;
    const int64_t s = outermost.from_step;
    // Positions i at which all is inside, and at which anything is.
    const int64_t first_in = std::max<int64_t>(0, CeilDiv(-at_, s));
    const int64_t last_in = std::min(outermost.count - 1, FloorDiv(last - extent - at_, s));
    const int64_t first_any = std::max<int64_t>(0, CeilDiv(-at_ - extent, s));
    const int64_t last_any = std::min(outermost.count - 1, FloorDiv(last - at_, s));
    if (first_any > last_any) return Meeting::kNever;
    if (first_in != first_any || last_in != last_any) return Meeting::kNoBox;
    at_ += first_in * s;
    result_.to_begin[outermost.to] += first_in * outermost.to_step;
    outermost.count = last_in - first_in + 1;
    const int from = writes_.empty() ? -1 : writes_[0].from;
    const int64_t from_step = writes_.empty() ? 0 : writes_[0].from_step;
    if (from >= 0) result_.from_begin[from] += at_ / step * from_step;
    for (const RegionAxis& read : reads_)
      result_.axes.push_back({read.count, read.to, read.to_step, from,
                              from < 0 ? 0 : read.from_step / step * from_step});
    return Meeting::kYes;
  }

  // At most one loop each: at_ + i s = j t.
  Meeting OneEach() {
    const RegionAxis read = reads_.empty() ? RegionAxis{1, 0, 0, -1, 1} : reads_[0];
    const RegionAxis write = writes_.empty() ? RegionAxis{1, 0, 1, -1, 0} : writes_[0];
    const int64_t s = read.from_step, t = write.to_step;
    const int64_t g = std::gcd(s, t);
    if (at_ % g != 0) return Meeting::kNever;
    const int64_t i_step = t / g, j_step = s / g;
    if (t > INT32_MAX || s > INT32_MAX) return Meeting::kNoBox;  // so that products fit
    const std::optional<int64_t> solution = SolveModulo(j_step, -(at_ / g), i_step);
    if (!solution) return Meeting::kNoBox;
    int64_t i = *solution;
    if (i >= read.count) return Meeting::kNever;
    // The first solution with j >= 0.
    if (at_ + i * s < 0) i += CeilDiv(-(at_ + i * s), s * i_step) * i_step;
    if (i >= read.count) return Meeting::kNever;
    const int64_t j = (at_ + i * s) / t;
    if (j >= write.count) return Meeting::kNever;
    const int64_t count =
        std::min((read.count - 1 - i) / i_step, (write.count - 1 - j) / j_step) + 1;
    if (i > 0) result_.to_begin[read.to] += i * read.to_step;
    if (write.from >= 0) result_.from_begin[write.from] += j * write.from_step;
    if (count > 1)
      result_.axes.push_back({count, read.to, read.to_step * i_step, write.from,
                              write.from < 0 ? 0 : write.from_step * j_step});
    return Meeting::kYes;
  }

  const Region &outer_, &inner_;
  Region result_;
  std::vector<RegionAxis> reads_, writes_;  // along the axis at hand, outermost first
  int64_t at_ = 0;                          // of the first read, from the first write
};

}  // namespace

std::optional<Region> Compose(const Region& outer, const Region& inner, bool* fits) {
  *fits = true;
  Composer composer(outer, inner);
  const Meeting meeting = composer.Run();
  *fits = meeting != Meeting::kNoBox;
  if (meeting != Meeting::kYes) return std::nullopt;
  return composer.TakeResult();
}

}  // namespace sula
