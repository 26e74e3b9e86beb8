// Where blocks of memory with known lifetimes go in one arena: dynamic storage allocation, offline.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace sula {

struct MemoryRequest {
  size_t bytes = 0;
  int first = 0, last = 0;  // live in all steps of [first, last]
};

struct MemoryPlan {
  std::vector<size_t> offsets;   // by request; 0 for empty ones
  size_t peak_bytes = 0;         // size of the arena
  size_t lower_bound_bytes = 0;  // largest sum of bytes live in one step: no plan needs less
};

// Offsets, multiples of `alignment` (a power of two), such that requests whose lifetimes meet do
// not overlap. A pure function: tries several packings (largest first, longest-lived first, in
// order of first use, by bytes x lifetime; each into the tightest and into the lowest gap), then,
// if none of them needs only the lower bound, searches for a smaller one (PackWithin) as long as
// that takes milliseconds. Quadratic in the number of requests. Precondition: the sum of bytes does
// not overflow.
MemoryPlan PlanMemory(std::span<const MemoryRequest> requests, size_t alignment);

}  // namespace sula
