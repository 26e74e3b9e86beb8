#include "backend/host.h"

#include <gtest/gtest.h>

#include <numeric>

namespace sula {
namespace {

// A backend of nothing but HostBackend.
class Plain : public HostBackend {
 public:
  std::string_view name() const override { return "plain"; }
  Status Probe() const override { return {}; }
  std::span<const KernelEntry> Kernels(const OpDef&) const override { return {}; }
};

// Index of logical element (n, c, s) by the layouts' definition.
int64_t IndexOf(const TensorDesc& d, int64_t n, int64_t c, int64_t s, int64_t pixels) {
  return d.layout == Layout::kRowMajor ? (n * d.dims[1] + c) * pixels + s
                                       : (n * pixels + s) * d.pixel_stride + c;
}

template <class T>
void CheckHostCopy(TensorDesc from, TensorDesc to) {
  const int64_t pixels = from.num_elements() / (from.dims[0] * from.dims[1]);
  const T kGap = static_cast<T>(77);
  std::vector<T> src(from.SpanBytes() / sizeof(T)), dst(to.SpanBytes() / sizeof(T), kGap);
  std::iota(src.begin(), src.end(), T{1});
  ASSERT_TRUE(HostCopy(from, src.data(), to, dst.data()).ok());
  std::vector<bool> element(dst.size(), false);
  for (int64_t n = 0; n < from.dims[0]; ++n) {
    for (int64_t c = 0; c < from.dims[1]; ++c) {
      for (int64_t s = 0; s < pixels; ++s) {
        const int64_t at = IndexOf(to, n, c, s, pixels);
        element[at] = true;
        ASSERT_EQ(dst[at], src[IndexOf(from, n, c, s, pixels)])
            << from.ToString() << " to " << to.ToString() << " at " << n << ' ' << c << ' ' << s;
      }
    }
  }
  for (size_t i = 0; i < dst.size(); ++i)
    ASSERT_TRUE(element[i] || dst[i] == kGap) << "gap written in " << to.ToString();
}

TEST(HostCopy, AllPairsOfLayoutsAndElementSizes) {
  for (const Dims& dims : {Dims{2, 3, 5, 7}, Dims{1, 40, 33, 35}, Dims{3, 1, 4}, Dims{2, 5, 1, 1},
                           Dims{2, 2, 2, 3, 4}}) {
    for (DType type : {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kInt8}) {
      const TensorDesc row = DenseDesc(type, dims);
      const TensorDesc last = DenseDesc(type, dims, Layout::kChannelLast);
      TensorDesc view = last;
      view.pixel_stride += 3;
      for (const TensorDesc& from : {row, last, view}) {
        for (const TensorDesc& to : {row, last, view}) {
          switch (SizeOf(type)) {
            case 8: CheckHostCopy<uint64_t>(from, to); break;
            case 4: CheckHostCopy<uint32_t>(from, to); break;
            case 2: CheckHostCopy<uint16_t>(from, to); break;
            default: CheckHostCopy<uint8_t>(from, to); break;
          }
        }
      }
    }
  }
}

TEST(HostCopy, RefusesOtherTypesAndSizes) {
  const TensorDesc a = DenseDesc(DType::kFloat32, {1, 2}), b = DenseDesc(DType::kInt32, {1, 2}),
                   c = DenseDesc(DType::kFloat32, {2, 1});
  float data[2] = {};
  EXPECT_FALSE(HostCopy(a, data, b, data).ok());
  EXPECT_FALSE(HostCopy(a, data, c, data).ok());
}

TEST(HostCopy, NothingToCopy) {
  const TensorDesc empty = DenseDesc(DType::kFloat32, {0, 3, 4});
  EXPECT_TRUE(
      HostCopy(empty, nullptr, DenseDesc(DType::kFloat32, {0, 3, 4}, Layout::kChannelLast), nullptr)
          .ok());
}

TEST(HostCopy, Strided) {
  // A transposed view read into a view with reversed rows.
  const int32_t src[] = {1, 2, 3, 4, 5, 6};
  int32_t dst[7] = {};
  TensorDesc from{true, DType::kInt32, {3, 2}, Layout::kStrided, 0, {1, 3}};
  TensorDesc to{true, DType::kInt32, {3, 2}, Layout::kStrided, 0, {2, -1}};
  ASSERT_TRUE(HostCopy(from, src, to, dst + 1).ok());
  EXPECT_EQ(std::vector<int32_t>(dst, dst + 7), (std::vector<int32_t>{4, 1, 5, 2, 6, 3, 0}));
}

TEST(HostCopyCost, TransposingCostsMore) {
  const Dims dims = {1, 64, 32, 32};
  const TensorDesc row = DenseDesc(DType::kFloat32, dims);
  const TensorDesc last = DenseDesc(DType::kFloat32, dims, Layout::kChannelLast);
  EXPECT_GT(HostCopyCost(row, last, 1), 2 * HostCopyCost(row, row, 1));
  EXPECT_LT(HostCopyCost(row, last, 2), HostCopyCost(row, last, 1));
}

TEST(TensorDesc, SpanReachesFromFirstToLastElement) {
  TensorDesc d = DenseDesc(DType::kFloat32, {2, 3, 4, 5}, Layout::kChannelLast);
  EXPECT_EQ(d.SpanBytes(), 2u * 3 * 4 * 5 * 4);
  d.pixel_stride = 10;
  EXPECT_EQ(d.SpanBytes(), (39u * 10 + 3) * 4);
  EXPECT_EQ(DenseDesc(DType::kInt8, {7, 0}).SpanBytes(), 0u);
  EXPECT_EQ(DenseDesc(DType::kFloat64, {}).SpanBytes(), 8u);
}

TEST(TensorDesc, Text) {
  TensorDesc d = DenseDesc(DType::kFloat32, {1, 3, 8, 8}, Layout::kChannelLast);
  EXPECT_EQ(d.ToString(), "float32[1,3,8,8] channel-last");
  d.pixel_stride = 16;
  EXPECT_EQ(d.ToString(), "float32[1,3,8,8] channel-last stride 16");
  EXPECT_EQ(DenseDesc(DType::kInt64, {2}).ToString(), "int64[2]");
  EXPECT_EQ(TensorDesc{}.ToString(), "absent");
}

TEST(HostBackend, BuffersAreZeroAlignedAndSeparate) {
  Plain backend;
  const auto a = backend.AcquireBuffer(100, StorageKind::kDynamic);
  const auto b = backend.AcquireBuffer(0, StorageKind::kStatic);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a->data) % kAlignment, 0u);
  EXPECT_NE(a->data, b->data);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(static_cast<char*>(a->data)[i], 0);
  backend.ReleaseBuffer(*a);
  backend.ClearBuffer();
}

TEST(HostBackend, RefusesWhatDoesNotFitMemory) {
  Plain backend;
  const auto block = backend.AcquireBuffer(size_t{1} << 60, StorageKind::kDynamic);
  ASSERT_FALSE(block);
  EXPECT_EQ(block.error().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace sula
