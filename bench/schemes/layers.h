// Convolutions as common nets have them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sula {

struct Layer {
  std::string net;
  int64_t in = 0, out = 0;  // channels
  int64_t size = 0;         // height and width of the input
  int64_t kernel_rows = 1, kernel_columns = 1, stride = 1, groups = 1, dilation = 1;
  int64_t batch = 1;

  // The output is as large as the input, but for the stride.
  int64_t pad_rows() const { return (kernel_rows - 1) * dilation / 2; }
  int64_t pad_columns() const { return (kernel_columns - 1) * dilation / 2; }
  // The entry of a net: its input comes as the user has it, row-major.
  bool first() const { return in <= 4; }
  double flops() const;      // of a direct convolution
  std::string Name() const;  // "3x3 s2 64>128 @56 b4"
};

// Some 440 layers: every distinct convolution of the nets at the resolution they were published
// with, several of them at others, and with a batch of 4.
std::vector<Layer> NetLayers();

}  // namespace sula
