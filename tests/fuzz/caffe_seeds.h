// Nets and weights to begin with, for the two targets of the Caffe frontend.
#pragma once

#include <string>
#include <vector>

namespace sula::fuzz {

// Nets without weights, and some that take those below.
std::vector<std::string> CaffeNets();
// Weights of layers conv, scale, norm, fc: one net takes them all.
std::string CaffeWeights();
std::string NetOfAllWeights();

}  // namespace sula::fuzz
