// Copies and blocks of memory that a schedule can do without.
#include <algorithm>
#include <bit>

#include "runtime/prepare/schedule.h"

namespace sula {
namespace {

// Lets the source of a copy lie where its destination is.
bool Forward(Schedule& s, const Step& copy) {
  const int from = copy.inputs[0].form, to = copy.outputs[0].form;
  const int source = s.forms[from].storage;
  if (s.storages[source].place != Place::kArena || source == s.forms[to].storage) return false;
  const int root = s.RootOf(from);
  // A view of a part: the rest of its storage has no place in the destination.
  if (NumElements(s.forms[root].dims) != NumElements(s.forms[from].dims)) return false;
  Derive derive;
  if (root == from) {
    derive = [](const Strided& base) { return base; };
  } else {
    // A reshape or the like of the whole: the bytes must lie in the destination as they do now.
    const Form& view = s.forms[from];
    derive = [dims = view.dims, strides = view.at.strides, at = s.forms[root].at,
              delta = s.forms[root].at.offset -
                      view.at.offset](const Strided& base) -> std::optional<Strided> {
      if (!SameStrides(dims, strides, base.strides)) return std::nullopt;
      return Strided{base.offset + delta, at.strides};
    };
  }
  const std::optional<Strided> at = derive(s.forms[to].at);
  return at && s.TryMove(root, to, derive, *at);
}

// The forms of each storage, and how far they reach.
struct Members {
  std::vector<int> forms;
  int64_t elements = 0;
};
std::vector<Members> MembersOf(const Schedule& s) {
  std::vector<Members> members(s.storages.size());
  for (size_t i = 0; i < s.forms.size(); ++i) {
    const Form& f = s.forms[i];
    Members& m = members[f.storage];
    m.forms.push_back(static_cast<int>(i));
    m.elements = std::max(m.elements, f.at.offset + Extent(f.dims, f.at.strides));
  }
  return members;
}

// True if the form is all there is in its storage.
bool Fills(const Form& f, const std::vector<Members>& members) {
  return f.at.offset == 0 && Extent(f.dims, f.at.strides) == members[f.storage].elements;
}

bool WritesInPlace(const Step& step) {
  const auto* entry = std::get_if<const KernelEntry*>(&step.scheme);
  return entry && (*entry)->in_place;
}

}  // namespace

void ForwardCopies(Schedule& schedule) {
  std::vector<Step> kept;
  for (Step& step : schedule.steps)
    if (step.kind != Step::Kind::kCopy || !Forward(schedule, step)) kept.push_back(std::move(step));
  schedule.steps = std::move(kept);
}

int64_t PaddedPixelStride(int64_t channels) {
  constexpr int64_t kLeast = 64, kCacheLine = 16;  // floats
  const bool power = std::has_single_bit(static_cast<uint64_t>(channels));
  return power && channels >= kLeast ? channels + kCacheLine : channels;
}

void PadPixels(Schedule& schedule) {
  for (size_t f = 0; f < schedule.forms.size(); ++f) {
    const Form& form = schedule.forms[f];
    if (form.base >= 0 || form.layout != Layout::kChannelLast || form.dtype != DType::kFloat32 ||
        schedule.storages[form.storage].place != Place::kArena)
      continue;
    const int64_t channels = form.dims[1];
    if (NumElements(form.dims) <= form.dims[0] * channels) continue;  // no map, or nothing at all
    const int64_t padded = PaddedPixelStride(channels);
    if (padded != channels)
      schedule.TryMove(static_cast<int>(f), -1, nullptr,
                       {form.at.offset, StridesOf(form.dims, Layout::kChannelLast, padded)});
  }
}

void ReuseInPlace(Schedule& schedule) {
  std::vector<Lifetime> lifetimes = Lifetimes(schedule);
  std::vector<Members> members = MembersOf(schedule);
  for (size_t i = 0; i < schedule.steps.size(); ++i) {
    const Step& step = schedule.steps[i];
    if (step.kind != Step::Kind::kKernel || !WritesInPlace(step) || step.inputs.empty() ||
        step.inputs[0].form < 0 || step.outputs[0].form < 0)
      continue;
    const Form& in = schedule.forms[step.inputs[0].form];
    const Form& out = schedule.forms[step.outputs[0].form];
    const int dying = in.storage, born = out.storage;
    const int now = static_cast<int>(i);
    if (dying == born || schedule.storages[dying].place != Place::kArena ||
        lifetimes[dying].last != now || lifetimes[born].first != now)
      continue;
    if (in.dtype != out.dtype || in.dims != out.dims ||
        step.inputs[0].layout != step.outputs[0].layout ||
        !SameStrides(in.dims, in.at.strides, out.at.strides))
      continue;
    // Another port that reads the same bytes would see them change.
    bool read_twice = false;
    for (size_t k = 1; k < step.inputs.size(); ++k)
      read_twice |=
          step.inputs[k].form >= 0 && schedule.forms[step.inputs[k].form].storage == dying;
    if (read_twice || !Fills(in, members) || !Fills(out, members)) continue;
    for (int f : members[dying].forms) schedule.forms[f].storage = born;
    members[born].forms.insert(members[born].forms.end(), members[dying].forms.begin(),
                               members[dying].forms.end());
    members[dying].forms.clear();
    lifetimes[born].first = lifetimes[dying].first;
    lifetimes[dying] = {static_cast<int>(schedule.steps.size()), -1};
  }
}

}  // namespace sula
