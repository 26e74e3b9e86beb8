#include "base/aligned_buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <limits>

namespace sula {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kReadableBehind = 64;

}  // namespace

AlignedBuffer::AlignedBuffer(size_t bytes) {
  if (bytes == 0 || bytes > std::numeric_limits<size_t>::max() / 2) return;
  const bool huge = bytes >= kHugePage;
  const size_t alignment = huge ? kHugePage : kAlignment;
  const size_t capacity = AlignUp(bytes + kReadableBehind, kAlignment);
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, capacity) != 0) return;
  // Before the first touch; a refusal costs speed alone.
  if (huge) static_cast<void>(madvise(memory, capacity / kHugePage * kHugePage, MADV_HUGEPAGE));
  std::memset(memory, 0, capacity);
  data_ = static_cast<std::byte*>(memory);
  bytes_ = bytes;
}

AlignedBuffer::~AlignedBuffer() { std::free(data_); }

}  // namespace sula
