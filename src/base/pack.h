// Packs: constant data that a kernel makes once from a model's weights, in the order in which it
// will read them. Whoever has the kernel made says where packs come from (PackSource), so that
// sessions and processes can share them and a later load finds them ready.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>

#include "base/function_ref.h"

namespace sula {

// Bytes that nobody writes any more; copies share them. 64-byte aligned, with 64 readable bytes
// behind the end.
class Pack {
 public:
  Pack() = default;
  // `owner` keeps the bytes in place.
  Pack(const std::byte* data, size_t bytes, std::shared_ptr<const void> owner)
      : data_(data), bytes_(bytes), owner_(std::move(owner)) {}
  // Memory of its own: zero-filled, then written by `fill`. data() is null, and nothing was called,
  // if memory is short or bytes is 0.
  static Pack Fresh(size_t bytes, FunctionRef<void(std::byte* to)> fill);

  const std::byte* data() const { return data_; }
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }
  size_t bytes() const { return bytes_; }
  const std::shared_ptr<const void>& owner() const { return owner_; }

 private:
  const std::byte* data_ = nullptr;
  size_t bytes_ = 0;
  std::shared_ptr<const void> owner_;
};

// Where the packs of one kernel come from.
class PackSource {
 public:
  virtual ~PackSource() = default;
  // The bytes that `fill` writes into zero-filled memory of that size. `fill` is not called where
  // they are at hand already, made with the same recipe from the same constants of the model: the
  // recipe tells everything else that the bytes depend on (kind of packing, sizes, strides, lanes,
  // which part of the constants). Threads, run-time layouts and the like belong there only if the
  // bytes depend on them. data() is null if memory is short. The bytes may be read in runs only,
  // not yet while the kernel is made: it may be one that is made to learn its size.
  virtual Pack Get(std::string_view recipe, size_t bytes,
                   FunctionRef<void(std::byte* to)> fill) = 0;
};

// `count` elements from `source`, or with memory of their own where it is null: fill(T* to).
// data() is null if memory is short or count is not positive.
template <class T, class F>
Pack MakePack(PackSource* source, std::string_view recipe, int64_t count, F&& fill) {
  if (count <= 0 || static_cast<uint64_t>(count) > std::numeric_limits<size_t>::max() / sizeof(T))
    return {};
  const size_t bytes = static_cast<size_t>(count) * sizeof(T);
  const auto write = [&](std::byte* to) { fill(reinterpret_cast<T*>(to)); };
  return source ? source->Get(recipe, bytes, write) : Pack::Fresh(bytes, write);
}

}  // namespace sula
