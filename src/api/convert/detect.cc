// Which framework a file comes from.
#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/mapped_file.h"
#include "format/model_file.h"
#include "frontends/caffe/caffe.h"
#include "sula/convert.h"

namespace sula {
namespace {

struct Suffix {
  std::string_view suffix, format;
};
constexpr Suffix kSuffixes[] = {
    {".sula", "sula"},        {".onnx", "ONNX"},      {".prototxt", "Caffe"},
    {".caffemodel", "Caffe"}, {".pb", "TensorFlow"},  {".pbtxt", "TensorFlow"},
    {".tflite", "TFLite"},    {".pt", "TorchScript"}, {".pth", "TorchScript"},
    {".pt2", "TorchScript"},  {".h5", "Keras"},       {".keras", "Keras"},
    {".mlmodel", "Core ML"},  {".pdmodel", "Paddle"}, {".safetensors", "safetensors"},
    {".gguf", "GGUF"},        {".param", "ncnn"},     {".mnn", "MNN"},
};

bool Has(std::span<const std::byte> bytes, size_t at, std::string_view text) {
  return bytes.size() >= at + text.size() &&
         std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

// An ONNX ModelProto, as all writers make it, begins with field 1, ir_version (a small number),
// then one of its fields 2 to 8.
bool LooksLikeOnnx(std::span<const std::byte> bytes) {
  if (bytes.size() < 3) return false;
  auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  return at(0) == 0x08 && at(1) >= 1 && at(1) < 0x40 && at(2) >= 0x10 && at(2) <= 0x42 &&
         ((at(2) & 7) == 2 || at(2) == 0x28);
}

// Caffe's files have no mark; their structure tells.
bool IsCaffe(const std::string& path) {
  Result<std::shared_ptr<const MappedFile>> file = MappedFile::Open(path);
  if (!file) return false;
  std::span<const std::byte> bytes = (*file)->bytes();
  return LooksLikeCaffeWeights(bytes) ||
         LooksLikePrototxt({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

std::string DetectFormat(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return std::filesystem::exists(path + "/saved_model.pb", ignored) ? "TensorFlow" : "";

  std::array<std::byte, 16> head{};
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(head.data()), head.size());
  std::span<const std::byte> bytes = std::span(head).first(static_cast<size_t>(in.gcount()));
  if (LooksLikeModelFile(bytes)) return "sula";
  if (Has(bytes, 4, "TFL3")) return "TFLite";
  if (Has(bytes, 0, "\x89HDF")) return "Keras";
  if (Has(bytes, 0, "GGUF")) return "GGUF";

  if (IsCaffe(path)) return "Caffe";

  std::string suffix = std::filesystem::path(path).extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const Suffix& s : kSuffixes)
    if (s.suffix == suffix) return std::string(s.format);
  if (LooksLikeOnnx(bytes)) return "ONNX";
  return "";
}

}  // namespace sula
