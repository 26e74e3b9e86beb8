// Scheme locks: the kernel and layouts of each node of a plan as text, so that a later prepare
// makes the same choice without searching.
//
//   sula-schemes 1
//   library 0.1.0
//   model 5f1c0a9be3d2a714
//   cpu AuthenticAMD-25-1 avx2
//   threads 2
//   input x 1,3,224,224
//   kept tuned 24012.1 24560.8
//
//   # node  operator  kernel  layouts  predicted and measured microseconds
//   node conv1 Conv cpu/winograd last,row,row->last 120.5 98.2  # F(4x4,3x3)
//   node relu1 Relu cpu/unary last->last 4.1 -
//
// `kept` is there after tuning that changed a choice: whether the plan is the tuned one, and the
// microseconds of a run of the tuned and of the untuned plan, `-` if they were not compared.
// One line a node, in the order of the plan. A layout is `row` (row-major), `last` (channel-last),
// `any` (as it lies) or, of an absent input or output, `-`. Names of other characters than
// [A-Za-z0-9_./:+-] are quoted. `#` begins a comment.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"

namespace sula {

// What a lock holds for: everything must be equal for it to fit.
struct SchemeScope {
  uint64_t model = 0;  // Model::ContentHash
  std::string cpu;     // CpuKind
  std::string isa;
  int threads = 1;
  std::map<std::string, Dims> inputs;
};

// The scheme of one node. Layouts are by port; nothing where the port is absent.
struct NodeScheme {
  std::string name, op, backend, kernel, detail;
  std::vector<std::optional<Layout>> inputs, outputs;
  double predicted_seconds = 0;
  double measured_seconds = 0;  // 0: not measured
  int line = 0;                 // of the text it comes from

  std::string kernel_name() const { return backend + "/" + kernel; }
};

// Two plans that tuning compared.
struct KeptPlan {
  bool tuned = false;                             // which of them it is
  double tuned_seconds = 0, untuned_seconds = 0;  // of a run; 0: not measured
};

struct SchemeLock {
  std::string library;  // for information: kernels are checked one by one
  SchemeScope scope;
  std::optional<KeptPlan> kept;   // for information
  std::vector<NodeScheme> nodes;  // names are unique
};

std::string Print(const SchemeLock& lock);

// Any text is safe. Errors name the line.
Result<SchemeLock> ParseSchemeLock(std::string_view text);

// An error that names all that differs, and the remedy, unless both are equal.
Status CheckScope(const SchemeScope& lock, const SchemeScope& here);

}  // namespace sula
