// Prints the strongest classes of a picture: classify MODEL.sula PICTURE. The model says itself how
// a picture becomes its input and what its classes are called: both were stored by
//
//   sula convert net.onnx -o MODEL.sula --image imagenet --labels labels.txt
#include <cstdio>
#include <vector>

#include "sula/image.h"
#include "sula/model.h"
#include "sula/session.h"

namespace {

sula::Status Classify(const char* model_file, const char* picture_file) {
  auto model = sula::LoadModel(model_file);
  if (!model) return model.error();
  auto info = sula::Inspect(**model);
  if (!info) return info.error();
  if (info->inputs.size() != 1) {
    return {sula::Code::kInvalidArgument, "the model takes more than a picture"};
  }
  const sula::ValueInfo& input = info->inputs[0];
  auto settings = sula::StoredImageInput(*info, input.name);
  if (!settings) return settings.error();
  if (!*settings) {
    return {sula::Code::kInvalidArgument, "the model does not say how pictures become its input"};
  }

  auto picture = sula::ReadImage(picture_file);
  if (!picture) return picture.error();
  auto dims = sula::ImageInputDims(**settings, input, {&*picture, 1});
  if (!dims) return dims.error();
  auto session = sula::Session::Create(*model, {}, {{input.name, *dims}});
  if (!session) return session.error();
  sula::Session& s = **session;
  auto filled =
      sula::FillInput({&*picture, 1}, **settings, s.input_type(0), *dims, s.input_data(0));
  if (!filled) return filled.error();
  if (auto status = s.Run(); !status.ok()) return status;

  if (s.output_type(0) != sula::DType::kFloat32) {
    return {sula::Code::kUnsupported, "the model's first output is not float32"};
  }
  const std::vector<std::string> labels = sula::StoredLabels(*info);
  const float* scores = static_cast<const float*>(s.output_data(0));
  const size_t count = static_cast<size_t>(sula::NumElements(s.output_dims(0)));
  for (const sula::Ranked& best : sula::BestScores({scores, count}, 5)) {
    const size_t index = static_cast<size_t>(best.index);
    std::printf("class %zu: %g %s\n", index, best.score,
                index < labels.size() ? labels[index].c_str() : "");
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: classify MODEL.sula PICTURE\n");
    return 2;
  }
  const sula::Status status = Classify(argv[1], argv[2]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
