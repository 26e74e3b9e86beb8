// The backend interface: what a device must offer so that the runtime can plan and run graphs on
// it. After the paper (Jiang et al., MLSys 2020, section 3.4): Create, ExecuteBegin, ExecuteEnd,
// AcquireBuffer, ReleaseBuffer, ClearBuffer, CopyBuffer; plus Probe and the kernel lists.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/pack.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "ir/graph.h"

namespace sula {

// How the elements of a value lie in memory. Logical dims never change with it.
enum class Layout : uint8_t {
  kRowMajor,     // dense, last axis fastest
  kChannelLast,  // logical [N,C,S...]: element (n,c,s) at (n * prod(S) + s) * pixel_stride + c
  kStrided,      // any strides: a transposed or sliced view. Met by CopyBuffer and by kernels
                 // that ask for it.
};
std::string_view Name(Layout layout);

// A value as kernels meet it.
struct TensorDesc {
  bool present = false;  // false: an absent optional input or output
  DType dtype = DType::kFloat32;
  Dims dims;  // logical and concrete
  Layout layout = Layout::kRowMajor;
  int64_t pixel_stride = 0;  // elements, kChannelLast only; >= dims[1], larger in a view of a
                             // concatenation or where the planner pads rows
  Dims strides = {};         // elements, kStrided only; by axis, may be negative

  int64_t num_elements() const { return NumElements(dims); }
  // From the first to one past the last element, padding between pixels included. Precondition:
  // no stride is negative.
  size_t SpanBytes() const;
  // Elements between neighbours along each axis, whatever the layout. out: one per axis.
  void WriteStrides(std::span<int64_t> out) const;
  // "float32[1,64,56,56] channel-last", with the pixel stride where it is not the channel count.
  std::string ToString() const;
};

// A desc of this type without gaps; kChannelLast needs rank >= 2, kStrided is in row-major order.
TensorDesc DenseDesc(DType dtype, Dims dims, Layout layout = Layout::kRowMajor);

// What a kernel is asked to be: a node with concrete types. Valid during the call it is passed to
// only: a kernel copies what it needs.
struct KernelRequest {
  const Node* node = nullptr;
  std::span<const TensorDesc> inputs, outputs;
  std::span<const Tensor* const> constants;  // by input; null where the value comes at run time
  int threads = 1;
  double max_error = 1e-5;      // SessionOptions::max_error
  PackSource* packs = nullptr;  // where `create` takes packed weights from; null: makes its own

  template <class P>
  const P& params() const {
    return node->As<P>();
  }
  bool HasInput(size_t i) const { return i < inputs.size() && inputs[i].present; }
  bool IsConstant(size_t i) const { return i < constants.size() && constants[i] != nullptr; }
};

// Yes, or no with the reason, which `sula explain` prints ("stride 2", "weights not constant").
class Verdict {
 public:
  static Verdict Yes() { return {}; }
  static Verdict No(std::string reason) { return Verdict(std::move(reason)); }
  explicit operator bool() const { return reason_.empty(); }
  const std::string& reason() const { return reason_; }

 private:
  Verdict() = default;
  explicit Verdict(std::string reason) : reason_(std::move(reason)) {}
  std::string reason_;
};

// The layout an input or output must have. kFollow: row-major or channel-last, but the same for all
// kFollow ports of the node. kStrided: the input comes as it lies, described as Layout::kStrided
// (row-major where it has more than kMaxStridedRank axes); not for outputs.
enum class LayoutNeed : uint8_t { kRowMajor, kChannelLast, kFollow, kStrided };

struct RunArgs {
  std::span<const void* const> inputs;  // by port; null where absent. Constants are passed too.
  std::span<void* const> outputs;
  void* workspace = nullptr;  // workspace_bytes() of the kernel, 64-byte aligned
  Parallel parallel;
  // Where a kernel reports an error that lies in the data (an index out of range); its outputs are
  // then unspecified. Starts as OK. Never null in a session's run.
  Status* status = nullptr;
};

// A node made ready: weights packed, tables computed. Immutable after Create, so that sessions of
// one model may share it and run it at the same time. Pointers in RunArgs are aligned to the
// element only (a view begins anywhere). A kernel touches nothing but the elements of its tensors:
// the gap between the channels of two pixels of a view may belong to another value that is live.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual size_t workspace_bytes() const { return 0; }  // scratch of one Run, planned
  virtual size_t constant_bytes() const { return 0; }   // packed weights it holds
  // True if Run reads constant input i from RunArgs; false (weights that Create packed) lets the
  // runtime drop the original.
  virtual bool ReadsConstant(int) const { return true; }
  // A line for explain and profile: tile, blocking ("F(4x4,3x3), 18 tiles a block").
  virtual std::string Detail() const { return {}; }
  // Pure compute: no allocation, no system call but waking threads.
  virtual void Run(const RunArgs& args) const noexcept = 0;
};

struct KernelEntry {
  std::string_view name;  // "winograd", unique within its operator
  // Fills the needs; all start as kRowMajor. Null: leaves them so. Sees dims, not layouts.
  void (*layouts)(const KernelRequest&, std::span<LayoutNeed> inputs,
                  std::span<LayoutNeed> outputs) = nullptr;
  Verdict (*accept)(const KernelRequest&) = nullptr;  // sees dims and constants, not layouts
  // Expected seconds on this machine with request.threads threads. Sees dims, not layouts.
  double (*estimate)(const KernelRequest&) = nullptr;
  // Sees everything. An error here is a failure of prepare, so accept must have refused before.
  Result<std::unique_ptr<Kernel>> (*create)(const KernelRequest&) = nullptr;
  // Output 0 may share memory with input 0 if both have the same type, dims and layout.
  bool in_place = false;
};

// Nodes in a row that one kernel may compute as a whole: input 0 of each node but the first is
// output 0 of the node before, which nobody else reads, which is no graph output and is the only
// output of its node. Such a value lies nowhere: its description is dense and row-major, whatever
// the kernel makes of it. The kernel's ports are, in this order, all inputs of the first node, the
// inputs of each later node but its input 0, and the outputs of the last node.
struct ChainRequest {
  std::span<const KernelRequest> nodes;

  int threads() const { return nodes[0].threads; }
  // The port of input i of a node (not input 0 of a later one).
  size_t InputPort(size_t node, size_t i) const;
};

// As KernelEntry, for a chain.
struct ChainEntry {
  std::string_view name;              // unique within its backend
  std::span<const OpDef* const> ops;  // the operators of its nodes
  void (*layouts)(const ChainRequest&, std::span<LayoutNeed> inputs,
                  std::span<LayoutNeed> outputs) = nullptr;  // by port
  Verdict (*accept)(const ChainRequest&) = nullptr;
  double (*estimate)(const ChainRequest&) = nullptr;  // seconds of the whole
  Result<std::unique_ptr<Kernel>> (*create)(const ChainRequest&) = nullptr;
};

enum class StorageKind { kStatic, kDynamic, kSeparate };  // weights; planned and reused; own block

// Memory of a backend's device.
struct DeviceBuffer {
  void* data = nullptr;  // host-addressable on CPU backends
  size_t bytes = 0;
  uint64_t handle = 0;  // the backend's own
};

inline constexpr int kMaxStridedRank = 8;

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  // OK if the backend can work on this machine; otherwise why not.
  virtual Status Probe() const = 0;
  // Kernels for an operator, in order of preference at equal cost. Empty: none.
  virtual std::span<const KernelEntry> Kernels(const OpDef& op) const = 0;
  virtual Result<std::unique_ptr<Kernel>> Create(const KernelEntry& entry,
                                                 const KernelRequest& request) = 0;
  // Kernels for several nodes in a row. They are taken where they cost less than separate ones.
  virtual std::span<const ChainEntry> Chains() const { return {}; }
  virtual Result<std::unique_ptr<Kernel>> CreateChain(const ChainEntry& entry,
                                                      const ChainRequest& request) {
    return entry.create(request);
  }
  // Brackets one run of a session's commands.
  virtual void ExecuteBegin() {}
  virtual void ExecuteEnd() {}
  // Memory for one planned arena, a block of weights or a separate tensor.
  virtual Result<DeviceBuffer> AcquireBuffer(size_t bytes, StorageKind kind) = 0;
  virtual void ReleaseBuffer(const DeviceBuffer& buffer) = 0;
  virtual void ClearBuffer() = 0;  // releases everything acquired
  // Copies between two descriptions of the same logical tensor: layouts and strides may differ,
  // element types may not. The ranks of kStrided tensors are at most kMaxStridedRank.
  virtual Status CopyBuffer(const TensorDesc& from, const void* src, const TensorDesc& to,
                            void* dst, const Parallel& parallel) = 0;
  // Expected seconds of that copy.
  virtual double CopyCost(const TensorDesc& from, const TensorDesc& to, int threads) const = 0;
};

}  // namespace sula
