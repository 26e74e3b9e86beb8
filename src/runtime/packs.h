// Packs (base/pack.h) of a model: shared by the plans of its sessions.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/pack.h"
#include "ir/graph.h"
#include "runtime/pack_cache.h"

namespace sula {

// The packs of a model that some plan holds. Safe to use from several threads at once.
class PackStore {
 public:
  // A pack, and whether it lies in a mapped file.
  struct Found {
    Pack pack;
    bool mapped = false;
  };
  // pack.data() is null unless a pack of this key and size is alive.
  Found Find(const std::string& key, size_t bytes);
  // Makes the pack known while somebody holds it. The result is to be used: if another thread has
  // made the same one meanwhile, it is that one.
  Found Add(const std::string& key, Found made);

 private:
  struct Known {
    const std::byte* data = nullptr;
    size_t bytes = 0;
    bool mapped = false;
    std::weak_ptr<const void> owner;
  };
  static Found Lock(const Known& known, size_t bytes);

  std::mutex mutex_;
  std::unordered_map<std::string, Known> packs_;
  size_t forget_at_ = 64;  // size at which packs that are gone are looked for
};

// The packs that one plan takes.
class PlanPacks {
 public:
  // All must outlive it. `model`: the graph that `concrete` was made from. cache: may be null.
  PlanPacks(PackStore& store, PackCache* cache, const Graph& model, const Graph& concrete)
      : store_(store), cache_(cache), model_(model), concrete_(concrete) {}

  Pack Get(const std::string& key, size_t bytes, FunctionRef<void(std::byte*)> fill);
  // Says which constants of the model a node's packs are made from: names of values and, for those
  // that were computed in preparation, their content.
  std::string KeyOf(const Node& node) const;

  // A text for the cache, beside the packs.
  void Take(const std::string& key, std::string_view text);
  // Lets the cache have the packs. Errors: PackCache::Keep.
  Status Keep();
  // Bytes of packs that lie in a mapped file, and of those that were there already: made by another
  // session, or for another node.
  size_t mapped_bytes() const { return mapped_bytes_; }
  size_t shared_bytes() const { return shared_bytes_; }

 private:
  PackStore& store_;
  PackCache* cache_;
  const Graph& model_;
  const Graph& concrete_;
  std::map<std::string, Pack> taken_;  // with a cache: for it
  size_t mapped_bytes_ = 0, shared_bytes_ = 0;
};

// The packs of one node's kernel.
class NodePacks : public PackSource {
 public:
  NodePacks(PlanPacks& plan, const Node& node) : plan_(plan), node_(node) {}
  Pack Get(std::string_view recipe, size_t bytes, FunctionRef<void(std::byte*)> fill) override;
  // True if some of them had to be made: the node's constants were read.
  bool made() const { return made_; }

 private:
  PlanPacks& plan_;
  const Node& node_;
  std::string key_;  // of the node, once it is needed
  bool made_ = false;
};

// For kernels that are made to learn what they need: packs have a size and no content.
class SizedPacks : public PackSource {
 public:
  Pack Get(std::string_view, size_t bytes, FunctionRef<void(std::byte*)>) override;
};

}  // namespace sula
