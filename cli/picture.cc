#include "picture.h"

#include <fmt/format.h>

namespace sula::cli {

void AddImageOption(CLI::App& command, std::vector<std::string>& texts, const std::string& help) {
  std::string presets;
  for (const ImagePreset& p : ImagePresets())
    presets += fmt::format("\n  {:<9} {}: {}", p.name, p.summary, p.text);
  command
      .add_option("--image", texts,
                  help +
                      ". SETTINGS are fields such as \"size=224x224 fit=crop(256) mean=0.5\", or a "
                      "preset, which fields may follow that differ:" +
                      presets)
      ->type_name("[NAME=]SETTINGS")
      ->allow_extra_args(false)
      ->take_all();
}

std::map<std::string, std::string> ImageTexts(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> by_name;
  for (const std::string& text : texts) {
    const std::string before = text.substr(0, text.find('='));
    const bool field = IsImageField(before) || before == "from" || before == "picture";
    const bool named =
        before.size() < text.size() && before.find(' ') == std::string::npos && !field;
    by_name[named ? before : ""] = named ? text.substr(before.size() + 1) : text;
  }
  return by_name;
}

Result<ImageInput> PictureSettings(const std::map<std::string, std::string>& texts,
                                   const ModelInfo& info, const ValueInfo& input,
                                   std::string& note) {
  Result<std::optional<ImageInput>> stored = StoredImageInput(info, input.name);
  auto text = texts.find(input.name);
  if (text == texts.end()) text = texts.find("");
  if (text != texts.end()) {
    // Settings that cannot be read don't stand in the way of better ones.
    return ChooseImageInput(text->second, input, stored ? *stored : std::nullopt);
  }
  if (!stored) return stored.error();
  if (*stored) return **stored;
  Result<ImageInput> usual = DefaultImageInput(input);
  if (!usual)
    return Status(
        Code::kInvalidArgument,
        fmt::format("{}. If it is a picture's, say how by --image \"...\", or store it in "
                    "the model by sula convert --image \"...\"; sula run --help shows the "
                    "settings",
                    usual.error().message()));
  note =
      fmt::format("the model does not say how pictures become '{}'; taken: {}. --image changes it",
                  input.name, ToString(*usual));
  return usual;
}

Result<Array> PictureInput(std::span<const std::string> paths, const ImageInput& settings,
                           const ValueInfo& input) {
  std::vector<Image> images;
  for (const std::string& path : paths) {
    Result<Image> image = ReadImage(path);
    if (!image) return image.error();
    images.push_back(std::move(image).value());
  }
  Result<Dims> dims = ImageInputDims(settings, input, images);
  if (!dims) return dims.error();
  Array array = Array::Make(input.dtype, *dims);
  if (!array.data) return Status(Code::kResourceExhausted, "no memory for the pictures");
  Result<std::vector<ImageMap>> filled =
      FillInput(images, settings, array.dtype, array.dims, array.data.get());
  if (!filled) return Status(filled.error()).AddContext(fmt::format("picture '{}'", paths[0]));
  return array;
}

int64_t PicturesAtATime(const ValueInfo& input) {
  return input.dims.size() == 4 && input.dims[0] > 0 ? input.dims[0] : 1;
}

}  // namespace sula::cli
