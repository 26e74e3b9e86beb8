// The schedule of a plan while it is being made: which steps run in which order, and where the
// values they read and write lie.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "backend/backend.h"
#include "ops/regions.h"
#include "runtime/prepare/concrete.h"
#include "runtime/prepare/scheme_lock.h"
#include "runtime/prepare/views.h"
#include "sula/session.h"

namespace sula {

enum class Place : uint8_t {
  kArena,     // planned memory, shared by values that are not live at the same time
  kInput,     // memory of graph input `index`
  kOutput,    // memory of graph output `index`
  kConstant,  // known before the run; read only
};

// A block of memory that one or more forms lie in.
struct Storage {
  Place place = Place::kArena;
  int index = 0;
  Layout layout = Layout::kRowMajor;  // kConstant: how the block is to be filled
};

// How a form's position follows from that of the form it is part or view of; nothing if the base
// lies in a way that does not allow it.
using Derive = std::function<std::optional<Strided>(const Strided& base)>;

// One way in which a value lies in memory. A value may have several: its row-major form and a
// channel-last copy, for instance.
struct Form {
  ValueId value = kNoValue;
  DType dtype = DType::kFloat32;
  Dims dims;
  int storage = 0;
  Strided at;
  Layout layout = Layout::kRowMajor;  // how it was described first
  uint8_t used = 0;                   // layouts (bits) by which steps read or write it
  int base = -1;                      // the form it derives from, in the same storage
  Derive derive;                      // set where base is
};

// A layout as a bit of Form::used.
constexpr uint8_t Bit(Layout layout) {
  return static_cast<uint8_t>(1u << static_cast<int>(layout));
}

struct FormUse {
  int form = -1;  // -1: absent, or a value of dynamic size
  Layout layout = Layout::kRowMajor;
};

// What a backend may run a node with, or the node and some that follow it.
using Scheme = std::variant<const KernelEntry*, const ChainEntry*>;

struct Step {
  enum class Kind {
    kKernel,
    kCopy,     // between two forms of one value
    kMove,     // boxes of inputs, one for each of `regions`, to output 0
    kAlias,    // nothing to run: outputs are views of the input, or parts of the output its inputs
    kDynamic,  // evaluated at run time; inputs and outputs may be of unknown size
  };
  Kind kind = Kind::kKernel;
  NodeId node = kNoNode;     // kNoNode: a copy
  std::vector<NodeId> rest;  // a chain's further nodes
  Backend* backend = nullptr;
  Scheme scheme;                         // kKernel
  std::vector<FormUse> inputs, outputs;  // by port
  RegionList regions;                    // kMove; form -1 of an input: zeros
  NodeReport report;                     // what is known so far
};

// The values of a step's ports; its node must not be kNoNode. For a chain see ChainRequest.
std::vector<ValueId> InputValues(const Graph& graph, const Step& step);
const std::vector<ValueId>& OutputValues(const Graph& graph, const Step& step);

class Schedule {
 public:
  std::vector<Storage> storages;
  std::vector<Form> forms;
  std::vector<Step> steps;
  double seconds = 0;    // that a run takes by what is known of kernels and copies
  double avoidable = 0;  // of them, what other layouts could save at most: copies, and what kernels
                         // take longer than the fastest for their node

  int AddStorage(Place place, int index = 0, Layout layout = Layout::kRowMajor);
  // A form that fills a storage of its own, without gaps.
  int AddRoot(ValueId value, DType dtype, const Dims& dims, Layout layout, int storage);
  // A form of `value` derived from `base`. Null (-1) if it cannot be described in any layout.
  int AddDerived(ValueId value, const Dims& dims, int base, Derive derive);

  // The form's description in that layout, if it has one.
  std::optional<TensorDesc> DescIn(int form, Layout layout) const;
  // Its description in a layout it was found to have; SULA_CHECK otherwise.
  TensorDesc Desc(const FormUse& use) const;
  // The form in the first layout that describes it: its own, row-major, channel-last, strided.
  FormUse AnyUse(int form) const;
  void MarkUsed(const FormUse& use);

  // The form without base of a storage.
  int RootOf(int form) const;

  // Moves a root, with all forms derived from it, to `at` in the storage of form `base`, from which
  // it follows by `derive`; or, with base -1, to `at` in its own storage. False, and no change, if
  // a form could no longer be described in a layout it is used in.
  bool TryMove(int root, int base, Derive derive, const Strided& at);
};

// A kernel that is not to be chosen for a node, or a chain not from that node on.
using KernelRefusal = std::pair<NodeId, Scheme>;

class SchemeTimes;

struct SchemeOptions {
  int threads = 1;
  double max_error = 1e-5;          // SessionOptions::max_error
  bool pad_pixels = false;          // PadPixels
  bool chains = true;               // false: every node gets a kernel of its own
  std::set<KernelRefusal> refused;  // for want of memory
  // What was measured. It takes the place of estimates if times_decide; else it is reported and no
  // more. Null: nothing was.
  const SchemeTimes* times = nullptr;
  bool times_decide = true;
  // Chooses kernel and layouts of its nodes; its scope has been checked. Estimates then decide
  // nothing: those of layout copies are the same on every machine. Unless `adapt_lock` it must name
  // just the nodes that need kernels. Null: none.
  const SchemeLock* lock = nullptr;
  bool adapt_lock = false;  // what of the lock does not fit is searched, and no error
  // Backends are asked about what the lock names alone: nobody wants to know the alternatives.
  bool lock_alone = false;
};

// Chooses layouts and kernels: walks the nodes in order and takes for each the cheapest candidate
// of all backends (earlier backends and entries first at equal cost), where the cost is the
// kernel's estimate plus that of the layout copies that its inputs need. Operators that only move
// elements (ops/regions.h) cost nothing where the bytes allow a view. The others are made in the
// layout that is asked for first, chains of them in one step; inputs that go as a whole into a part
// of the result are copied there, which ForwardCopies then avoids where it can.
// Nodes in a row become one step where a backend has a chain for them that costs less than the
// cheapest way to run them apart; what they hand on to each other then has no form.
// Values whose sizes are not known become steps of kind kDynamic. The last backend is the fallback
// that takes every node.
Result<Schedule> ChooseSchemes(const ConcreteGraph& graph, std::span<Backend* const> backends,
                               const SchemeOptions& options);

// Drops copies by letting the producer of the source write into the destination: parts of
// concatenations, graph outputs.
void ForwardCopies(Schedule& schedule);

// The pixel stride for a map of that many channels. Powers of two from 64 on get one cache line
// more: otherwise the same channel of neighbouring pixels falls into few sets of the L1 cache.
int64_t PaddedPixelStride(int64_t channels);
// Gives channel-last values in the arena their PaddedPixelStride where all views allow.
void PadPixels(Schedule& schedule);

// Lets kernels that can write over their input do so where nobody needs the input any more.
void ReuseInPlace(Schedule& schedule);

// All of the above in turn.
Result<Schedule> MakeSchedule(const ConcreteGraph& graph, std::span<Backend* const> backends,
                              const SchemeOptions& options);

// What a scheme lock tells of a step of kind kKernel.
NodeScheme SchemeOf(const Graph& graph, const Step& step);

// The kernel of a step of kind kKernel, made ready; null if it would have nothing to write. packs:
// where the packed weights of each of its nodes come from; null: it makes its own.
Result<std::unique_ptr<Kernel>> MakeKernel(const Graph& graph, const Schedule& schedule,
                                           const Step& step, const SchemeOptions& options,
                                           FunctionRef<PackSource*(NodeId)> packs);

// The same for given descriptions of the step's ports; its node, scheme and backend are looked at.
Result<std::unique_ptr<Kernel>> MakeKernel(const Graph& graph, const Step& step,
                                           std::vector<TensorDesc> inputs,
                                           std::vector<TensorDesc> outputs,
                                           const SchemeOptions& options,
                                           FunctionRef<PackSource*(NodeId)> packs);

// The size of each storage.
std::vector<size_t> StorageBytes(const Schedule& schedule);

// Steps of [first, last] use a storage; first > last: none does.
struct Lifetime {
  int first = 0, last = -1;
};
std::vector<Lifetime> Lifetimes(const Schedule& schedule);

}  // namespace sula
