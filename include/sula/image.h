// Pictures as inputs of a model: decoding, resizing, cropping, normalising, and the description of
// all that as one line of text, which a model can carry. Lives in libsula_image.
//
//   auto info = sula::Inspect(**model);
//   auto spec = sula::StoredImageInput(*info, info->inputs[0].name);
//   auto photo = sula::ReadImage("photo.jpg");
//   auto map = sula::FillInput({&*photo, 1}, **spec, session.input_type(0), session.input_dims(0),
//                              session.input_data(0));
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sula/model.h"
#include "sula/status.h"
#include "sula/tensor.h"

#pragma GCC visibility push(default)
namespace sula {

// A picture of 8 bits per channel: rows from the top, height x width x channels, without gaps.
struct Image {
  int width = 0, height = 0;
  int channels = 3;  // 1: grey, 3: red, green, blue
  std::vector<uint8_t> pixels;
};

// ---- files

struct DecodeLimits {
  int64_t max_pixels = int64_t{1} << 27;  // width * height
  size_t max_bytes = size_t{1} << 30;     // of memory while decoding, the result included
};

// Whether these first bytes (12 are enough) are those of a PNG, JPEG or BMP file.
bool LooksLikeImage(std::span<const std::byte> head);
bool LooksLikeImageFile(const std::string& path);

// Decodes a PNG, JPEG or BMP file: to one channel if that is what it holds, else to three. Alpha is
// dropped and 16-bit samples lose their lower byte, as in PIL's convert("RGB") and OpenCV's imread.
// A picture taken with the camera turned (EXIF orientation) is set upright. Errors: kInvalidModel
// for what is damaged or cut short; kUnsupported for CMYK, 12-bit, arithmetic-coded and lossless
// JPEG and run-length BMP; kResourceExhausted beyond the limits. JPEG decoders may differ: from
// libjpeg, which PIL and OpenCV use, the levels differ by at most 3.
Result<Image> DecodeImage(std::span<const std::byte> file, const DecodeLimits& limits = {});
Result<Image> ReadImage(const std::string& path, const DecodeLimits& limits = {});

// Writes a PNG file of the picture. Error: kIo; kInvalidArgument if the picture's sizes don't fit
// its pixels.
Status WritePng(const Image& image, const std::string& path);

// ---- geometry and colour

// Ways to resample, each as one widely used library does it, level by level, because networks
// notice the difference. PIL (Pillow's Image.resize) widens the filter when reducing; OpenCV's
// linear (cv2.resize) reads the nearest four pixels whatever the factor. Equal level by level to
// Pillow up to 12 and OpenCV 4. (Pillow 13 lets its passes change places where the height shrinks
// more than twice as much as the width; rounding between them then differs: by a level for box and
// bilinear, by tens of levels where bicubic and lanczos overshoot.)
enum class ResizeKind {
  kNearestPil,      // pixel centres at half integers
  kBoxPil,          // mean of the covered pixels
  kBilinearPil,     // triangle; what torchvision does to PIL images
  kBicubicPil,      // Catmull-Rom's family, a = -0.5
  kLanczosPil,      // three lobes
  kNearestOpenCv,   // INTER_NEAREST: rounds positions down
  kBilinearOpenCv,  // INTER_LINEAR, 11-bit weights
  kAreaOpenCv,      // INTER_AREA: mean of the covered area; enlarging: linear of its own kind
};

// Largest width and height that Resize and Crop make.
inline constexpr int kMaxImageSide = 1 << 15;

// The picture at another size. Errors: kInvalidArgument if a size is not in 1..kMaxImageSide or the
// picture's sizes don't fit its pixels.
Result<Image> Resize(const Image& image, int width, int height, ResizeKind kind);

// The part width x height with its corner at (left, top); what lies outside of the picture gets the
// colour `fill` (red, green, blue; a grey picture takes the mean of them). Errors as Resize.
Result<Image> Crop(const Image& image, int left, int top, int width, int height,
                   std::array<uint8_t, 3> fill = {0, 0, 0});

// One channel: 0.299 R + 0.587 G + 0.114 B, rounded as PIL's convert("L") does. Itself if grey.
Image ToGray(const Image& image);

// Three equal channels of a grey picture; itself if it has three.
Image ToRgb(const Image& image);

// ---- the way from a picture to an input

enum class ImageFit {
  kStretch,    // to `size`, whatever that does to the proportions
  kCrop,       // shorter side to `shorter` (0: as small as covers `size`), then cut
  kLetterbox,  // as large as fits into `size`, the rest filled with `fill`
  kNone,       // the picture keeps its own size, whatever `size` says
};
enum class ImageAnchor { kCenter, kTopLeft };  // where crop cuts and letterbox puts the picture
enum class ImageOrder { kRgb, kBgr, kGray };
enum class ImageLayout { kNchw, kNhwc };

// input = (pixel * scale - mean) / std with pixels 0..255; for integer inputs then rounded (half to
// even) and limited to the type's range.
//
// As text: fields with blanks between, in any order, each at most once; a preset's name (see
// ImagePresets) stands for the fields it sets and may be followed by fields that differ:
//
//   resize=bilinear-pil size=224x224 fit=crop(256) order=rgb scale=1/255 mean=0.485,0.456,0.406
//   std=0.229,0.224,0.225
//
//   resize=KIND        nearest-pil box-pil bilinear-pil bicubic-pil lanczos-pil nearest-opencv
//                      bilinear-opencv area-opencv
//   size=WxH           width x height of the input; left out: as the model declares. Where the base
//                      says fit=none and the text says no fit, it means fit=stretch as well
//   fit=...            stretch, crop, crop(SHORTER), letterbox, letterbox(R,G,B), none
//   anchor=...         center, top-left
//   order=...          rgb, bgr, gray
//   scale=X            a number or a ratio such as 1/255
//   mean=M std=S       one number, or one per channel in the order of `order`
//   layout=...         nchw, nhwc; left out: told by the axis of 1 or 3
//   type=...           float32, float16, uint8, int8; left out: the model's; otherwise checked
struct ImageInput {
  ResizeKind resize = ResizeKind::kBilinearPil;
  int width = 0, height = 0;  // 0: as the model declares
  ImageFit fit = ImageFit::kStretch;
  int shorter = 0;                                // of kCrop
  std::array<uint8_t, 3> fill = {114, 114, 114};  // of kLetterbox: red, green, blue
  ImageAnchor anchor = ImageAnchor::kCenter;
  ImageOrder order = ImageOrder::kRgb;
  double scale = 1;
  std::vector<double> mean = {0}, std = {1};  // one, or one per channel
  std::optional<ImageLayout> layout;
  std::optional<DType> type;

  bool operator==(const ImageInput&) const = default;
};

// Reads the text form; fields that it does not set stay as in `base`. Errors: kInvalidArgument,
// naming the field and its right form.
Result<ImageInput> ParseImageInput(std::string_view text, const ImageInput& base = {});

// The text form: the fields that matter, so that parsing it gives an equal value.
std::string ToString(const ImageInput& spec);

// Whether the text form has a field of this name.
bool IsImageField(std::string_view name);

// Named settings, each with its text and where it comes from.
struct ImagePreset {
  std::string_view name, text, summary;
};
std::span<const ImagePreset> ImagePresets();

// What is taken for an input about which nothing is said: the whole picture stretched to the
// declared size, or as it is where the model leaves width and height open; RGB or grey by the
// number of channels; 0..1 for float inputs, 0..255 for uint8, -128..127 for int8. Error:
// kInvalidArgument if the input does not look like a picture's: not three or four axes, or no axis
// of 1 or 3 in the channels' place, or another element type.
Result<ImageInput> DefaultImageInput(const ValueInfo& input);

// The settings that `text` asks for; what it leaves out is as `base` says, the settings stored in
// the model, or, without them, as DefaultImageInput guesses, if it can. Errors: those of
// ParseImageInput.
Result<ImageInput> ChooseImageInput(std::string_view text, const ValueInfo& input,
                                    const std::optional<ImageInput>& base);

// Checks what can be told without a picture: that the input takes pictures so described.
Status CheckImageInput(const ImageInput& spec, const ValueInfo& input);

// Where the input's channels lie: what the settings say, else told by the axis of 1 or 3. Errors:
// those of CheckImageInput.
Result<ImageLayout> ImageInputLayout(const ImageInput& spec, const ValueInfo& input);

// The shape that the input gets from these pictures, with as many of them as the first of four axes
// says (an input of three axes takes one). Errors: kInvalidArgument where the description and the
// input disagree, or where the size stays open.
Result<Dims> ImageInputDims(const ImageInput& spec, const ValueInfo& input,
                            std::span<const Image> images);

// Where a picture came to lie in the input, in pixels whose corners are at integers:
// input = picture * scale + offset.
struct ImageMap {
  double scale_x = 1, scale_y = 1, offset_x = 0, offset_y = 0;
  // Back from the input to the picture, for boxes and points that a network found.
  std::pair<double, double> ToPicture(double x, double y) const {
    return {(x - offset_x) / scale_x, (y - offset_y) / scale_y};
  }
};

// Writes the pictures to `data`, a dense row-major tensor of these sizes ([N,C,H,W], [N,H,W,C], or
// the same without N), one map for each. `dims` must hold as many pictures as are given. Errors as
// ImageInputDims.
Result<std::vector<ImageMap>> FillInput(std::span<const Image> images, const ImageInput& spec,
                                        DType dtype, const Dims& dims, void* data);

// ---- what a model carries

// Metadata of a model: this prefix and an input's name -> the text form of its ImageInput; and the
// names of its classes, one per line.
inline constexpr std::string_view kImageMetadataPrefix = "image:";
inline constexpr std::string_view kLabelsMetadata = "labels";

// The description stored for this input; none if there is none. Error: it cannot be read.
Result<std::optional<ImageInput>> StoredImageInput(const ModelInfo& info, std::string_view input);

// The classes' names, in order; empty if the model has none.
std::vector<std::string> StoredLabels(const ModelInfo& info);

// One label per line; blank lines at the end and carriage returns are dropped. Errors:
// kInvalidArgument for text without labels, with more than a million, or with a zero byte in it.
Result<std::vector<std::string>> ParseLabels(std::string_view text);

// The `count` largest scores (fewer if there are fewer), largest first, equal ones by index; NaN
// counts as smallest.
struct Ranked {
  int64_t index = 0;
  float score = 0;
};
std::vector<Ranked> BestScores(std::span<const float> scores, int count);

}  // namespace sula
#pragma GCC visibility pop
