// Prints the strongest classes of a picture classifier: classify MODEL.sula PIXELS, where PIXELS
// holds the input as raw float32, in the layout that the model declares.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <vector>

#include "sula/model.h"
#include "sula/session.h"

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: classify MODEL.sula PIXELS\n"), 2;
  auto fail = [](const sula::Status& s) {
    return std::fprintf(stderr, "%s\n", s.ToString().c_str()), 1;
  };

  auto model = sula::LoadModel(argv[1]);
  if (!model) return fail(model.error());
  auto session = sula::Session::Create(*model);
  if (!session) return fail(session.error());
  sula::Session& s = **session;

  std::vector<float> pixels(sula::NumElements(s.input_dims(0)));
  std::ifstream file(argv[2], std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(pixels.data()), pixels.size() * sizeof(float)))
    return std::fprintf(stderr, "%s: want %zu floats\n", argv[2], pixels.size()), 1;

  std::vector<float> scores(sula::NumElements(s.output_dims(0)));
  if (auto status = s.BindInput(0, pixels.data()); !status.ok()) return fail(status);
  if (auto status = s.BindOutput(0, scores.data()); !status.ok()) return fail(status);
  if (auto status = s.Run(); !status.ok()) return fail(status);

  std::vector<int> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  size_t top = std::min<size_t>(5, order.size());
  std::partial_sort(order.begin(), order.begin() + top, order.end(),
                    [&](int a, int b) { return scores[a] > scores[b]; });
  for (size_t i = 0; i < top; ++i) std::printf("class %d: %g\n", order[i], scores[order[i]]);
  return 0;
}
