// Finds faces with the three networks of MTCNN, and draws them:
//
//   find_faces PNET.sula RNET.sula ONET.sula PICTURE OUTPUT.png
//
// The cascade (Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded
// Convolutional Networks", IEEE Signal Processing Letters 23(10), 2016): P-Net looks at the whole
// picture in many sizes and proposes windows; R-Net looks at each window at 24x24 and drops most;
// O-Net looks at the rest at 48x48 and gives the final box and five landmarks. It shows sessions
// that change their input shapes (P-Net) and batches of any size (R-Net, O-Net).
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "sula/image.h"
#include "sula/model.h"
#include "sula/session.h"

namespace {

constexpr float kSmallestFace = 24;     // pixels
constexpr float kPyramidStep = 0.709f;  // about 1/sqrt(2): halves the area
constexpr float kProposal = 0.6f, kRefined = 0.7f, kFinal = 0.7f;  // scores needed in each stage

struct Face {
  float x1, y1, x2, y2;  // pixels of the picture
  float score;
  float dx1, dy1, dx2, dy2;  // what the network would move the corners by, in widths and heights
  float points[10] = {};     // landmarks: five x, five y, in pixels
  float width() const { return x2 - x1; }
  float height() const { return y2 - y1; }
};

// The part [x1, x2) x [y1, y2) of the picture as columns x rows pixels, each the mean of what it
// covers, black outside. Written column by column, as these networks were trained: dst[x][y][rgb],
// scaled from 0..255 to -1..1.
sula::Status Look(const sula::Image& picture, float x1, float y1, float x2, float y2, int columns,
                  int rows, float* dst) {
  const int left = static_cast<int>(std::lround(x1)), top = static_cast<int>(std::lround(y1));
  const int width = std::max(1, static_cast<int>(std::lround(x2)) - left);
  const int height = std::max(1, static_cast<int>(std::lround(y2)) - top);
  auto part = sula::Crop(picture, left, top, width, height);
  if (!part) return part.error();
  auto sized = sula::Resize(*part, columns, rows, sula::ResizeKind::kAreaOpenCv);
  if (!sized) return sized.error();
  for (int x = 0; x < columns; ++x) {
    for (int y = 0; y < rows; ++y) {
      const uint8_t* pixel = &sized->pixels[(static_cast<size_t>(y) * columns + x) * 3];
      for (int c = 0; c < 3; ++c) *dst++ = (pixel[c] - 127.5f) / 128;
    }
  }
  return {};
}

// Keeps the best of faces that overlap by more than `limit`: of their union, or of the smaller one.
std::vector<Face> Suppress(std::vector<Face> faces, float limit, bool of_smaller = false) {
  std::sort(faces.begin(), faces.end(),
            [](const Face& a, const Face& b) { return a.score > b.score; });
  std::vector<Face> kept;
  for (const Face& face : faces) {
    const bool hidden = std::any_of(kept.begin(), kept.end(), [&](const Face& better) {
      const float w = std::min(face.x2, better.x2) - std::max(face.x1, better.x1);
      const float h = std::min(face.y2, better.y2) - std::max(face.y1, better.y1);
      if (w <= 0 || h <= 0) return false;
      const float a = face.width() * face.height(), b = better.width() * better.height();
      return w * h > limit * (of_smaller ? std::min(a, b) : a + b - w * h);
    });
    if (!hidden) kept.push_back(face);
  }
  return kept;
}

// Moves the corners as the network said.
void Adjust(std::vector<Face>& faces) {
  for (Face& f : faces) {
    const float w = f.width(), h = f.height();
    f.x1 += f.dx1 * w;
    f.y1 += f.dy1 * h;
    f.x2 += f.dx2 * w;
    f.y2 += f.dy2 * h;
  }
}

// Squares around the same centres, for the next network. What has shrunk to nothing is dropped.
void MakeSquare(std::vector<Face>& faces) {
  for (Face& f : faces) {
    const float half = std::max(f.width(), f.height()) / 2;
    const float x = (f.x1 + f.x2) / 2, y = (f.y1 + f.y2) / 2;
    f = {x - half, y - half, x + half, y + half, f.score, 0, 0, 0, 0};
  }
  std::erase_if(faces, [](const Face& f) { return !(f.width() >= 1); });
}

// One network of the cascade: [N,X,Y,3] in; offsets [...,4] and probabilities [...,2] out, from
// O-Net also landmarks [...,10].
class Network {
 public:
  static sula::Result<Network> Load(const std::string& path, const sula::Dims& dims) {
    auto model = sula::LoadModel(path);
    if (!model) return model.error();
    Network net;
    auto info = sula::Inspect(**model);
    if (!info) return info.error();
    if (info->inputs.size() != 1) {
      return sula::Status(sula::Code::kInvalidArgument, path + " is no network of MTCNN");
    }
    net.input_ = info->inputs[0].name;
    auto session = sula::Session::Create(*model, {}, {{net.input_, dims}});
    if (!session) return session.error();
    net.session_ = std::move(*session);
    return net;
  }

  // Memory for an input of these sizes.
  sula::Result<float*> Input(const sula::Dims& dims) {
    if (auto status = session_->Resize({{input_, dims}}); !status.ok()) return status;
    return static_cast<float*>(session_->input_data(0));
  }
  sula::Status Run() {
    if (auto status = session_->Run(); !status.ok()) return status;
    offsets_ = Output(4);
    probabilities_ = Output(2);
    points_ = Output(10);
    if (offsets_ >= 0 && probabilities_ >= 0) return {};
    return {sula::Code::kInvalidArgument, "this is no network of MTCNN: its outputs differ"};
  }

  // Sizes of the output before the last axis; and its rows in order.
  const sula::Dims& OutputDims() const { return session_->output_dims(offsets_); }
  float Score(int64_t i) const { return Data(probabilities_)[2 * i + 1]; }
  const float* Offsets(int64_t i) const { return Data(offsets_) + 4 * i; }
  const float* Points(int64_t i) const { return points_ < 0 ? nullptr : Data(points_) + 10 * i; }

 private:
  const float* Data(int output) const {
    return static_cast<const float*>(session_->output_data(output));
  }
  // The output whose last axis has this size, or -1.
  int Output(int64_t size) const {
    for (int i = 0; i < session_->num_outputs(); ++i) {
      const sula::Dims& dims = session_->output_dims(i);
      if (!dims.empty() && dims.back() == size) return i;
    }
    return -1;
  }

  std::string input_;
  std::unique_ptr<sula::Session> session_;
  int offsets_ = -1, probabilities_ = -1, points_ = -1;
};

// P-Net over one size of the picture: each cell of its output is a window of 12x12, 2 apart.
sula::Status Propose(Network& net, const sula::Image& picture, float scale,
                     std::vector<Face>* faces) {
  const int columns = static_cast<int>(std::ceil(picture.width * scale));
  const int rows = static_cast<int>(std::ceil(picture.height * scale));
  auto input = net.Input({1, columns, rows, 3});
  if (!input) return input.error();
  if (auto status = Look(picture, 0, 0, picture.width, picture.height, columns, rows, *input);
      !status.ok()) {
    return status;
  }
  if (auto status = net.Run(); !status.ok()) return status;
  const int64_t across = net.OutputDims()[1], down = net.OutputDims()[2];
  std::vector<Face> found;
  for (int64_t i = 0; i < across * down; ++i) {
    if (net.Score(i) < kProposal) continue;
    const float x = 2 * (i / down), y = 2 * (i % down);
    const float* o = net.Offsets(i);
    found.push_back({x / scale, y / scale, (x + 12) / scale, (y + 12) / scale, net.Score(i), o[0],
                     o[1], o[2], o[3]});
  }
  found = Suppress(std::move(found), 0.5f);
  faces->insert(faces->end(), found.begin(), found.end());
  return {};
}

// R-Net or O-Net over all windows at once, each seen at size x size pixels.
sula::Status Refine(Network& net, const sula::Image& picture, int size, float needed,
                    std::vector<Face>* faces) {
  if (faces->empty()) return {};
  auto input = net.Input({static_cast<int64_t>(faces->size()), size, size, 3});
  if (!input) return input.error();
  float* dst = *input;
  for (const Face& f : *faces) {
    if (auto s = Look(picture, f.x1, f.y1, f.x2, f.y2, size, size, dst); !s.ok()) return s;
    dst += size * size * 3;
  }
  if (auto status = net.Run(); !status.ok()) return status;
  std::vector<Face> kept;
  for (size_t i = 0; i < faces->size(); ++i) {
    Face f = (*faces)[i];
    f.score = net.Score(i);
    if (f.score < needed) continue;
    const float* o = net.Offsets(i);
    f.dx1 = o[0], f.dy1 = o[1], f.dx2 = o[2], f.dy2 = o[3];
    if (const float* points = net.Points(i)) {
      for (int k = 0; k < 5; ++k) {
        f.points[k] = f.x1 + points[k] * f.width();
        f.points[5 + k] = f.y1 + points[5 + k] * f.height();
      }
    }
    kept.push_back(f);
  }
  *faces = std::move(kept);
  return {};
}

void Fill(sula::Image& picture, int x1, int y1, int x2, int y2) {
  constexpr uint8_t kGreen[] = {40, 230, 80};
  for (int y = std::max(y1, 0); y < std::min(y2, picture.height); ++y) {
    for (int x = std::max(x1, 0); x < std::min(x2, picture.width); ++x) {
      std::copy_n(kGreen, 3, &picture.pixels[(static_cast<size_t>(y) * picture.width + x) * 3]);
    }
  }
}

void Draw(const Face& face, sula::Image& picture) {
  constexpr int kLine = 3;
  const int x1 = std::lround(face.x1), y1 = std::lround(face.y1);
  const int x2 = std::lround(face.x2), y2 = std::lround(face.y2);
  Fill(picture, x1, y1, x2, y1 + kLine);
  Fill(picture, x1, y2 - kLine, x2, y2);
  Fill(picture, x1, y1, x1 + kLine, y2);
  Fill(picture, x2 - kLine, y1, x2, y2);
  for (int k = 0; k < 5; ++k) {
    const int x = std::lround(face.points[k]), y = std::lround(face.points[5 + k]);
    Fill(picture, x - 2, y - 2, x + 3, y + 3);
  }
}

class Clock {
 public:
  // Milliseconds since the last call.
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double, std::milli>(now - std::exchange(start_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

sula::Status FindFaces(char** files) {
  auto read = sula::ReadImage(files[3]);
  if (!read) return read.error();
  sula::Image picture = sula::ToRgb(*read);

  Clock clock;
  auto pnet = Network::Load(files[0], {1, 12, 12, 3});
  auto rnet = Network::Load(files[1], {1, 24, 24, 3});
  auto onet = Network::Load(files[2], {1, 48, 48, 3});
  for (const auto* net : {&pnet, &rnet, &onet}) {
    if (!*net) return net->error();
  }
  std::printf("networks ready      %8.1f ms\n", clock.Lap());

  std::vector<Face> faces;
  int scales = 0;
  const float smaller = std::min(picture.width, picture.height);
  for (float scale = 12 / kSmallestFace; smaller * scale >= 12; scale *= kPyramidStep, ++scales) {
    if (auto status = Propose(*pnet, picture, scale, &faces); !status.ok()) return status;
  }
  faces = Suppress(std::move(faces), 0.7f);
  Adjust(faces);
  MakeSquare(faces);
  std::printf("P-Net, %2d sizes     %8.1f ms, %zu windows\n", scales, clock.Lap(), faces.size());

  if (auto s = Refine(*rnet, picture, 24, kRefined, &faces); !s.ok()) return s;
  faces = Suppress(std::move(faces), 0.7f);
  Adjust(faces);
  MakeSquare(faces);
  std::printf("R-Net               %8.1f ms, %zu windows\n", clock.Lap(), faces.size());

  if (auto s = Refine(*onet, picture, 48, kFinal, &faces); !s.ok()) return s;
  Adjust(faces);
  faces = Suppress(std::move(faces), 0.7f, true);
  std::printf("O-Net               %8.1f ms, %zu face%s\n", clock.Lap(), faces.size(),
              faces.size() == 1 ? "" : "s");

  for (const Face& f : faces) {
    std::printf("face at x %.0f to %.0f, y %.0f to %.0f, score %.4f\n", f.x1, f.x2, f.y1, f.y2,
                f.score);
    Draw(f, picture);
  }
  return sula::WritePng(picture, files[4]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: find_faces PNET.sula RNET.sula ONET.sula PICTURE OUTPUT.png\n");
    return 2;
  }
  const sula::Status status = FindFaces(argv + 1);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
