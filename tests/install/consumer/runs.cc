// runs MODEL: runs a model on ones, prints the first output.
#include <algorithm>
#include <cstdio>

#include "sula/model.h"
#include "sula/session.h"

int main(int argc, char** argv) {
  auto model = sula::LoadModel(argc > 1 ? argv[1] : "no such file");
  if (!model) return std::printf("%s\n", model.error().ToString().c_str()), 1;
  auto session = sula::Session::Create(*model);
  if (!session) return std::printf("%s\n", session.error().ToString().c_str()), 1;
  auto* x = static_cast<float*>((*session)->input_data(0));
  std::fill_n(x, sula::NumElements((*session)->input_dims(0)), 1.0f);
  if (!(*session)->Run().ok()) return 1;
  auto* y = static_cast<const float*>((*session)->output_data(0));
  for (int64_t i = 0; i < sula::NumElements((*session)->output_dims(0)); ++i)
    std::printf("%g ", static_cast<double>(y[i]));
}
