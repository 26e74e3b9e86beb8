// A shape whose sizes may be symbolic, and the type of a value: element type + shape.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sula/tensor.h"
#include "tensor/dim.h"

namespace sula {

class Shape {
 public:
  Shape() = default;                                        // a scalar
  Shape(std::vector<Dim> dims) : dims_(std::move(dims)) {}  // NOLINT
  Shape(std::initializer_list<Dim> dims) : dims_(dims) {}
  static Shape Of(std::span<const int64_t> dims) {
    return Shape(std::vector<Dim>(dims.begin(), dims.end()));
  }

  int rank() const { return static_cast<int>(dims_.size()); }
  const Dim& operator[](int i) const { return dims_[i]; }
  Dim& operator[](int i) { return dims_[i]; }
  const std::vector<Dim>& dims() const { return dims_; }
  auto begin() const { return dims_.begin(); }
  auto end() const { return dims_.end(); }

  bool IsConcrete() const;
  // All sizes as numbers, or nothing if one is symbolic.
  std::optional<Dims> TryConcrete() const;
  Dims Concrete() const;  // precondition: IsConcrete()
  Dim NumElements() const;
  Shape Substitute(const DimBindings& bindings) const;
  std::string ToString() const;  // "[N,3,224,224]"

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::vector<Dim> dims_;
};

// What is known of a value before it is computed. No shape: not even the rank is known.
struct TensorType {
  DType dtype = DType::kFloat32;
  std::optional<Shape> shape;
  std::string ToString() const;  // "float32[N,3,224,224]", "int64[?]" without a shape
  friend bool operator==(const TensorType&, const TensorType&) = default;
};

// Normalises an axis in [-rank, rank) to [0, rank); an error names both numbers.
Result<int> NormalizeAxis(int64_t axis, int rank);
// The numpy broadcast of two shapes. Symbolic sizes that cannot be proved equal or 1 give
// max(a, b), which is right whenever the run-time sizes are compatible.
Result<Shape> BroadcastShapes(const Shape& a, const Shape& b);
Result<Dims> BroadcastDims(std::span<const int64_t> a, std::span<const int64_t> b);
// Row-major strides in elements.
Dims RowMajorStrides(std::span<const int64_t> dims);

}  // namespace sula
