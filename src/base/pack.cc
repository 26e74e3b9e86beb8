#include "base/pack.h"

#include "base/aligned_buffer.h"

namespace sula {

Pack Pack::Fresh(size_t bytes, FunctionRef<void(std::byte* to)> fill) {
  // Whoever fills them touches the pages, from as many threads as that takes.
  auto buffer = std::make_shared<const AlignedBuffer>(bytes, AlignedBuffer::Pages::kOnTouch);
  if (!buffer->data()) return {};
  fill(buffer->data());
  const std::byte* data = buffer->data();
  return Pack(data, bytes, std::move(buffer));
}

}  // namespace sula
