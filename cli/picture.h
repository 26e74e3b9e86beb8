// Pictures as network inputs: the options that describe them, and reading them.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "npy.h"
#include "sula/image.h"
#include "sula/model.h"

namespace sula::cli {

// The option --image, once for each input; `help` says what it is for.
void AddImageOption(CLI::App& command, std::vector<std::string>& texts, const std::string& help);

// What was given by --image or --preprocess, "[NAME=]SETTINGS": settings by the input's name, ""
// without one. What stands before the first '=' is an input's name unless it is a field of the
// settings.
std::map<std::string, std::string> ImageTexts(const std::vector<std::string>& texts);

// The settings of an input: what --image says, the rest as the model says, or as is usual. `note`
// gets a text for the user where neither says anything. Errors say how to give what is missing.
Result<ImageInput> PictureSettings(const std::map<std::string, std::string>& texts,
                                   const ModelInfo& info, const ValueInfo& input,
                                   std::string& note);

// Reads the pictures and makes one input of them.
Result<Array> PictureInput(std::span<const std::string> paths, const ImageInput& settings,
                           const ValueInfo& input);

// How many pictures an input takes at a time: what it declares, or 1.
int64_t PicturesAtATime(const ValueInfo& input);

}  // namespace sula::cli
