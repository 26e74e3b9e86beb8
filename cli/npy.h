// NumPy's .npy files: arrays in and out.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "sula/status.h"
#include "sula/tensor.h"

namespace sula::cli {

// An owned dense row-major array; data is 64-byte aligned.
struct Array {
  DType dtype = DType::kFloat32;
  Dims dims;
  std::shared_ptr<std::byte> data;

  TensorView view() const { return {dtype, dims, data.get()}; }
  size_t bytes() const { return view().bytes(); }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data.get());
  }
  // Zero-filled. Precondition: the sizes are not negative and their product does not overflow.
  // data is null if memory is short.
  static Array Make(DType dtype, Dims dims);
};

// Reads versions 1.0 to 3.0 of the format (numpy.lib.format), either byte order, row-major or
// Fortran order. bfloat16, which NumPy has no type for, is "V2", as ml_dtypes writes it. Errors
// name the file: not an .npy file, cut short, damaged, or (kUnsupported) of another element type.
Result<Array> ReadNpy(const std::string& path);

// Writes version 1.0, row-major.
Status WriteNpy(const std::string& path, const TensorView& array);

}  // namespace sula::cli
