#include "base/aligned_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <limits>

namespace sula {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
// From here on memory comes from the system as pages of its own, zero already and in no place
// until they are touched.
constexpr size_t kLeastMapped = size_t{128} << 10;
constexpr size_t kReadableBehind = 64;

size_t CapacityOf(size_t bytes) { return AlignUp(bytes + kReadableBehind, kAlignment); }

// Large blocks lie at a multiple of kHugePage with no pages beside them: a heap would keep the room
// that it skips to align them, and might let it become part of a huge page.
std::byte* MapPages(size_t capacity) {
  const bool huge = capacity >= kHugePage;
  const size_t room = huge ? kHugePage : 0;
  void* const mapped =
      mmap(nullptr, capacity + room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  if (!huge) return static_cast<std::byte*>(mapped);
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = reinterpret_cast<uintptr_t>(mapped);
  const uintptr_t aligned = AlignUp(begin, kHugePage);
  const uintptr_t used_end = AlignUp(aligned + capacity, page);
  const uintptr_t end = AlignUp(begin + capacity + room, page);
  if (aligned > begin) munmap(mapped, aligned - begin);
  if (end > used_end) munmap(reinterpret_cast<void*>(used_end), end - used_end);
  void* const memory = reinterpret_cast<void*>(aligned);
  // Before the first touch; a refusal costs speed alone.
  static_cast<void>(madvise(memory, capacity / kHugePage * kHugePage, MADV_HUGEPAGE));
  return static_cast<std::byte*>(memory);
}

}  // namespace

AlignedBuffer::AlignedBuffer(size_t bytes, Pages pages) {
  if (bytes == 0 || bytes > std::numeric_limits<size_t>::max() / 2) return;
  const size_t capacity = CapacityOf(bytes);
  const bool mapped = bytes >= kLeastMapped;
  if (mapped) {
    data_ = MapPages(capacity);
  } else if (void* memory = nullptr; posix_memalign(&memory, kAlignment, capacity) == 0) {
    data_ = static_cast<std::byte*>(memory);
  }
  if (!data_) return;
  // New pages are zero already; this makes them resident now and not in the middle of a run.
  if (!mapped || pages == Pages::kResident) std::memset(data_, 0, capacity);
  bytes_ = bytes;
}

AlignedBuffer::~AlignedBuffer() {
  if (bytes_ >= kLeastMapped)
    munmap(data_, CapacityOf(bytes_));
  else
    std::free(data_);
}

}  // namespace sula
