// What a model carries about its pictures and classes.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/status.h"
#include "sula/image.h"

namespace sula {

Result<std::optional<ImageInput>> StoredImageInput(const ModelInfo& info, std::string_view input) {
  const std::string key = StrCat(kImageMetadataPrefix, input);
  auto stored = info.metadata.find(key);
  if (stored == info.metadata.end()) return std::optional<ImageInput>();
  Result<ImageInput> spec = ParseImageInput(stored->second);
  if (!spec)
    return Status(spec.error())
        .AddContext(StrCat("the model's metadata '", key.substr(0, 200), "'"));
  return std::optional<ImageInput>(std::move(spec).value());
}

Result<std::vector<std::string>> ParseLabels(std::string_view text) {
  constexpr size_t kMost = 1'000'000;
  if (text.find('\0') != std::string_view::npos)
    return InvalidArgument("labels: not a text file, there is a zero byte in it");
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.remove_suffix(1);
  if (text.empty()) return InvalidArgument("labels: no text; there is to be one label per line");
  std::vector<std::string> labels;
  while (true) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (labels.size() == kMost) return InvalidArgument("labels: more than ", kMost, " lines");
    labels.emplace_back(line);
    if (end == std::string_view::npos) return labels;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string> StoredLabels(const ModelInfo& info) {
  auto stored = info.metadata.find(std::string(kLabelsMetadata));
  if (stored == info.metadata.end()) return {};
  Result<std::vector<std::string>> labels = ParseLabels(stored->second);
  return labels ? std::move(labels).value() : std::vector<std::string>();
}

std::vector<Ranked> BestScores(std::span<const float> scores, int count) {
  std::vector<Ranked> all(scores.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = {static_cast<int64_t>(i), scores[i]};
  const size_t kept = std::min(all.size(), static_cast<size_t>(std::max(count, 0)));
  auto better = [](const Ranked& a, const Ranked& b) {
    const bool a_nan = std::isnan(a.score), b_nan = std::isnan(b.score);
    if (a_nan != b_nan) return b_nan;
    if (!a_nan && a.score != b.score) return a.score > b.score;
    return a.index < b.index;
  };
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(kept), all.end(),
                    better);
  all.resize(kept);
  return all;
}

}  // namespace sula
