// The walk that makes a schedule: chooses layouts and kernels node by node (schemes.cc), runs nodes
// in a row as one where that costs less (chains.cc), and makes views and copies of operators that
// only move elements (movement.cc).
#pragma once

#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ops/regions.h"
#include "runtime/prepare/requests.h"
#include "runtime/prepare/schedule.h"

namespace sula {

inline constexpr double kNever = std::numeric_limits<double>::infinity();

// A kernel that would do, with the layouts it would get.
struct KernelChoice {
  Backend* backend = nullptr;
  Scheme scheme;
  int nodes = 1;  // that it computes
  std::vector<Layout> inputs, outputs;
  double estimate = 0;      // of the kernel alone
  double measured = 0;      // the same, measured; 0: it was not
  double kernel = 0;        // the one of both that counts
  double seconds = kNever;  // with the layout copies
  double outlook = 0;       // what the layouts of its outputs will cost their readers

  double total() const { return seconds + outlook; }
};

// A kernel that takes a node.
struct KernelOption {
  Backend* backend = nullptr;
  Scheme scheme;
  PortNeeds needs;
  double estimate = 0, measured = 0, kernel = 0;  // as in KernelChoice
  size_t report = 0;                              // its place in NodeOptions::reports
  bool passed_over = false;                       // for one with smaller constants
};
// What a backend says of a chain that begins at a node.
struct ChainOption {
  Backend* backend = nullptr;
  const ChainEntry* entry = nullptr;
  Ports whole;
  std::optional<PortNeeds> needs;  // nothing: it refuses, for this reason
  std::string refused;
  double estimate = 0, measured = 0;
};
struct NodeOptions {
  Ports ports;
  // What estimates are multiplied with where other kernels of the node were measured: as much as
  // the fastest of them took longer, or less long, than predicted.
  double scale = 1;
  std::vector<KernelOption> accepted;
  std::vector<CandidateReport> reports;  // refusals included; without seconds
  std::vector<ChainOption> chains;       // those that were asked for so far
};

// By node: those that a walk has asked for already.
using KnownOptions = std::vector<std::optional<NodeOptions>>;

class Scheduler {
 public:
  // known: filled as needed, of use for another walk with the same options. laid: see laid_.
  Scheduler(const ConcreteGraph& concrete, std::span<Backend* const> backends,
            const SchemeOptions& options, KnownOptions& known, std::vector<uint8_t> laid);
  Result<Schedule> Run();
  // If the constants that the schedule's kernels hold outgrow those of the model, passes over
  // kernels for others that are as fast and hold less, as many as it takes. True if it did: the
  // next walk will choose those.
  bool SaveConstants(const Schedule& schedule);
  // The part of `laid` that a walk looks at: equal parts make equal walks. By value that meets
  // another one at a node, 0 where both layouts are as good.
  std::vector<uint8_t> Heeded(const std::vector<uint8_t>& laid);

 private:
  // ---- forms of values
  bool IsStatic(ValueId v) const { return KnownDims(graph_.value(v)).has_value(); }
  Dims DimsOf(ValueId v) const { return *KnownDims(graph_.value(v)); }
  DType TypeOf(ValueId v) const { return graph_.value(v).type.dtype; }
  int AddRoot(ValueId v, Layout layout, int storage);
  // Forms that exist; a constant gets its row-major one on first use.
  const std::vector<int>& FormsOf(ValueId v);
  // Adds a form that derives from others: what kernels can read as it is comes first.
  void AddView(ValueId v, int form);
  // The layout that kernels without a wish of their own take this value in: one it has, else the
  // one whose order of axes is more like its own.
  Layout PreferredLayout(ValueId v);
  // Seconds of what would bring v to this layout: 0 if it lies so already.
  double CostOf(ValueId v, Layout layout);
  // The cheapest form to copy from.
  FormUse BestSource(ValueId v, const TensorDesc& to);
  // A form of v in this layout, made by a copy if there is none. kStrided: the first there is.
  FormUse Get(ValueId v, Layout layout);
  FormUse Used(FormUse use);
  void AddCopy(ValueId v, FormUse from, FormUse to);
  // Copies a value of known size to the memory of graph output i.
  void WriteOutput(size_t i);
  Backend& Copier() const { return *backends_[0]; }
  double CopyCost(const TensorDesc& from, const TensorDesc& to) const;

  // ---- nodes
  Status Visit(NodeId id);
  Status AddDynamic(NodeId id);
  NodeOptions& OptionsOf(NodeId id);
  // Bytes that the kernel would hold; nothing if that cannot be told.
  std::optional<size_t> ConstantsOf(NodeId id, const KernelOption& option) const;
  // reports: null, or where one of each candidate is added.
  KernelChoice BestKernel(NodeId id, std::vector<CandidateReport>* reports);
  // Fills in the layouts that cost least, and seconds and outlook; estimate and measured are there.
  void SetLayouts(const Ports& ports, const PortNeeds& needs, KernelChoice& choice);
  void AddKernel(Step step, const KernelChoice& choice);

  // ---- what comes after (outlook.cc). Layouts are chosen in the order of the nodes, and what a
  // layout will cost later is known beforehand: walking backwards, each value learns for both
  // layouts how many seconds its readers take at least, copies and their outputs' own outlook
  // included. In a graph without branches that makes the choice the best there is. Where a value
  // has several readers they share its copy; where branches meet, each of them counts what comes
  // behind, but never as more than its own value's copy.

  struct ValueOutlook {
    double seconds[2] = {0, 0};       // row-major and channel-last; the lesser is 0
    bool copied[2] = {false, false};  // made in that layout alone, it will be copied to the other
  };
  void LookAhead();
  void LookAhead(ValueId v);
  double Outlook(ValueId v, Layout layout) const;
  // Seconds of the cheapest way to run a reader of v that finds it in this layout, its outputs'
  // outlook included.
  double ReaderCost(NodeId reader, ValueId v, Layout layout);
  // The same for operators that only move elements; nothing for others.
  std::optional<double> MovementCost(const Node& node, ValueId v, Layout layout);
  // Seconds of what a reader's other input needs to be in this layout, by the walk before.
  double OtherInputCost(ValueId v, Layout layout);
  // Seconds of a copy to this layout from the other one; 0 if they are the same.
  double ConversionCost(ValueId v, Layout to);
  // v has been made in this layout: notes whether it will be copied.
  void Promise(ValueId v, Layout layout);

  // ---- chains

  // The nodes from id on that could run as one, at most a few: see ChainRequest. What the later
  // ones read besides exists already.
  std::vector<NodeId> PathFrom(NodeId id) const;
  // True if the path begins with the operators of the chain.
  bool IsChain(std::span<const NodeId> path, const ChainEntry& entry) const;
  bool IsMade(ValueId v) const;
  // The cheapest of `apart`, the best kernel for the first node of the path alone, and the chains
  // that begin there, each together with the cheapest way to run the rest of the path.
  KernelChoice BestOf(std::span<const NodeId> path, KernelChoice apart,
                      std::vector<CandidateReport>& reports);
  // Chains that take the first nodes of the path. reports: as of BestKernel.
  std::vector<KernelChoice> ChainsFrom(std::span<const NodeId> path,
                                       std::vector<CandidateReport>* reports);
  // What the backend says of this chain of the first nodes of the path; the second remembers.
  ChainOption AskAbout(std::span<const NodeId> path, Backend& backend,
                       const ChainEntry& entry) const;
  const ChainOption& ChainOptionOf(std::span<const NodeId> path, Backend& backend,
                                   const ChainEntry& entry);
  // Nodes whose input 0 has no form yet, but will lie in `layout`: the best kernel, and the chains
  // that begin there.
  struct Foreseen {
    KernelChoice apart;
    std::vector<KernelChoice> chains;
  };
  const Foreseen& Foresee(NodeId id, Layout layout);
  // Seconds of the cheapest way to run the whole path if its first value lies in `layout`. known:
  // results by number of nodes and layout.
  using KnownCosts = std::map<std::pair<size_t, Layout>, double>;
  double CostAlong(std::span<const NodeId> path, Layout layout, KnownCosts& known);
  // Seconds of a choice for the first nodes of the path and the cheapest way to run the rest.
  double CostWith(const KernelChoice& choice, std::span<const NodeId> path, KnownCosts& known);

  // ---- scheme locks and times (directed.cc)
  // Measured seconds of a kernel for some nodes in a row, 0 if there are none.
  double MeasuredSeconds(std::span<const KernelRequest> nodes, const Scheme& scheme) const;
  bool TimesDecide() const { return options_.times && options_.times_decide; }
  // The seconds of a kernel that count, see NodeOptions::scale.
  double Weight(double estimate, double measured, double scale) const {
    return TimesDecide() && measured > 0 ? measured : estimate * scale;
  }
  // Puts the scheme that a lock has for the first node of the path, or for more of them, in the
  // place of `choice`. False: there is no lock, or it does not fit and is to be adapted. Error: it
  // does not fit and must.
  Result<bool> FollowLock(std::span<const NodeId> path, KernelChoice& choice, NodeReport& report);
  // Adds the candidate that a scheme names, if there is one.
  void AskAbout(std::span<const NodeId> path, const NodeScheme& scheme,
                std::vector<CandidateReport>& candidates) const;
  Result<KernelChoice> Follow(std::span<const NodeId> path, const NodeScheme& scheme,
                              NodeReport& report);
  // An error if the lock has lines that nobody followed.
  Status CheckFollowed() const;

  // ---- movement: values that are boxes of other values (their recipes; regions' sources are
  // values that have forms). A recipe of one box becomes a view where the bytes allow. Otherwise
  // the value stays a recipe until somebody asks for a layout, so that chains of movement compose.

  // False if the node is not one that only moves elements, or not in boxes.
  bool AddMovement(NodeId id);
  // Reshapes that are no boxes: views, of a row-major copy if need be.
  void AddReshape(NodeId id);
  void AddAlias(NodeId id);
  // The boxes of output y, `list`, with recipes of inputs put in for what has no forms.
  RegionList Flatten(const Node& node, ValueId y, const RegionList& list);
  // True if y, if made of this region alone, is a view of some form of the region's source.
  bool IsView(ValueId y, const Region& region);
  // True if somebody other than movement reads v.
  bool IsWanted(ValueId v) const;
  // True if readers of v should read its sources instead.
  bool ReadThrough(ValueId v) const;
  // Makes v, a recipe of one box, a view of those forms of its source that allow it.
  void TryViews(ValueId v);

  // How one box of a recipe gets into place.
  struct Placed {
    FormUse from;                // form -1: zeros
    std::optional<Layout> part;  // the whole source is copied into a part of this layout, a copy
                                 // that can probably be forwarded
    double seconds = 0;
  };
  struct Assembly {
    std::vector<Placed> boxes;  // by region
    double seconds = 0;
    double unforwarded = 0;  // seconds if nothing were forwarded
  };
  Assembly Assemble(ValueId v, Layout layout);
  // The cheapest of the layouts that kernels read.
  std::pair<Layout, Assembly> BestAssembly(ValueId v);
  // Adds what makes a form of v in this layout from its recipe.
  FormUse Build(ValueId v, Layout layout, const Assembly& assembly);
  // Brings the one source of a reshape-like recipe into place in a root of this layout. False if
  // it has no description there.
  bool BuildAsPart(ValueId v, int root);

  const Graph& graph_;
  const std::vector<NodeId>& order_;
  std::span<Backend* const> backends_;
  const SchemeOptions& options_;
  Schedule s_;
  std::vector<std::vector<int>> forms_;                // by value
  std::map<ValueId, std::vector<size_t>> outputs_of_;  // graph outputs computed by nodes

  std::vector<std::optional<RegionList>> recipes_;        // by value
  std::vector<std::vector<NodeId>> readers_;              // by value
  std::vector<std::set<int>> viewed_;                     // by value: forms that TryViews has seen
  std::map<std::string_view, const NodeScheme*> locked_;  // by node name
  std::set<std::string_view> followed_;                   // of them
  std::set<int> promised_;  // roots that a copy will probably be forwarded of

  KnownOptions& node_options_;
  std::vector<uint8_t> laid_;                // by value: layouts (bits) it had in the walk before
  std::optional<std::set<ValueId>> joined_;  // what OtherInputCost is asked about, once it matters
  std::vector<ValueOutlook> outlook_;        // by value; empty: nothing is foreseen
  std::set<std::pair<ValueId, Layout>> expected_;  // copies that will be made anyway

  std::set<NodeId> chained_;                           // nodes that a step before has computed
  std::optional<std::pair<ValueId, Layout>> assumed_;  // a value without forms, and how it will lie
  std::map<std::pair<NodeId, Layout>, Foreseen> foreseen_;
  size_t max_path_ = 1;
};

}  // namespace sula
