// An owned, 64-byte aligned block of memory; large ones ask for huge pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace sula {

inline constexpr size_t kAlignment = 64;

class AlignedBuffer {
 public:
  enum class Pages : uint8_t {
    kResident,  // all pages are there from the beginning: a run meets no page fault
    kOnTouch,   // whoever fills a large block brings its pages in
  };
  AlignedBuffer() = default;
  // Zero-filled, with 64 readable bytes behind the end. data() is null if memory is short (or
  // bytes is 0).
  explicit AlignedBuffer(size_t bytes, Pages pages = Pages::kResident);
  AlignedBuffer(AlignedBuffer&& o) noexcept
      : data_(std::exchange(o.data_, nullptr)), bytes_(std::exchange(o.bytes_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  ~AlignedBuffer();

  std::byte* data() const { return data_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

constexpr size_t AlignUp(size_t n, size_t a = kAlignment) { return (n + a - 1) / a * a; }

}  // namespace sula
