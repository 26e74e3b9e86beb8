#include "runtime/packs.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/status.h"
#include "format/hash.h"

namespace sula {

PackStore::Found PackStore::Lock(const Known& known, size_t bytes) {
  std::shared_ptr<const void> owner = known.owner.lock();
  if (!owner || known.bytes != bytes) return {};
  return {Pack(known.data, known.bytes, std::move(owner)), known.mapped};
}

PackStore::Found PackStore::Find(const std::string& key, size_t bytes) {
  const std::lock_guard lock(mutex_);
  const auto it = packs_.find(key);
  return it == packs_.end() ? Found() : Lock(it->second, bytes);
}

PackStore::Found PackStore::Add(const std::string& key, Found made) {
  const std::lock_guard lock(mutex_);
  if (packs_.size() >= forget_at_) {
    std::erase_if(packs_, [](const auto& entry) { return entry.second.owner.expired(); });
    forget_at_ = 2 * packs_.size() + 64;
  }
  Known& known = packs_[key];
  if (Found there = Lock(known, made.pack.bytes()); there.pack.data()) return there;
  known = {made.pack.data(), made.pack.bytes(), made.mapped, made.pack.owner()};
  return made;
}

Pack PlanPacks::Get(const std::string& key, size_t bytes, FunctionRef<void(std::byte*)> fill) {
  PackStore::Found found = store_.Find(key, bytes);
  if (found.pack.data()) {
    (found.mapped ? mapped_bytes_ : shared_bytes_) += bytes;
  } else {
    if (cache_ && cache_->file()) found = {PackFile::Find(cache_->file(), key, bytes), true};
    if (found.pack.data())
      mapped_bytes_ += bytes;
    else
      found = {Pack::Fresh(bytes, fill), false};
    if (!found.pack.data()) return {};
    found = store_.Add(key, std::move(found));
  }
  if (cache_) taken_.emplace(key, found.pack);
  return found.pack;
}

void PlanPacks::Take(const std::string& key, std::string_view text) {
  if (!cache_ || text.empty()) return;
  taken_[key] =
      Pack::Fresh(text.size(), [&](std::byte* to) { std::memcpy(to, text.data(), text.size()); });
}

Status PlanPacks::Keep() {
  if (!cache_) return {};
  const std::vector<std::pair<std::string, Pack>> packs(taken_.begin(), taken_.end());
  return cache_->Keep(packs);
}

std::string PlanPacks::KeyOf(const Node& node) const {
  std::string key;
  for (ValueId v : node.inputs) {
    const Tensor* const constant = concrete_.Constant(v);
    if (!constant) {
      key += "-\n";
      continue;
    }
    const std::string& name = concrete_.value(v).name;
    key += StrCat(name.size(), " ", name);
    if (constant != model_.Constant(v))
      key += StrCat(" ", HashBytes({constant->raw(), constant->bytes()}));
    key += "\n";
  }
  return key;
}

Pack NodePacks::Get(std::string_view recipe, size_t bytes, FunctionRef<void(std::byte*)> fill) {
  if (key_.empty()) key_ = plan_.KeyOf(node_);
  return plan_.Get(key_ + std::string(recipe), bytes, [&](std::byte* to) {
    made_ = true;
    fill(to);
  });
}

Pack SizedPacks::Get(std::string_view, size_t bytes, FunctionRef<void(std::byte*)>) {
  static constexpr std::byte kNowhere{};
  return Pack(&kNowhere, bytes, nullptr);
}

}  // namespace sula
