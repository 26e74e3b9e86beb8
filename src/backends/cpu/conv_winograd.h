// Winograd's forms as candidates of convolution.
#pragma once

#include <array>
#include <string_view>

#include "backends/cpu/conv_adapter.h"
#include "backends/cpu/kernels/winograd/forms.h"

namespace sula::cpu {

// spec: of a convolution or, for transposed forms, of a transposed one.
Verdict AcceptWinograd(const KernelRequest& request, const ConvSpec& spec,
                       const WinogradForm& form);
double EstimateWinograd(const KernelRequest& request, const ConvSpec& spec,
                        const WinogradForm& form);
Result<std::unique_ptr<Kernel>> CreateWinograd(const KernelRequest& request, const ConvSpec& spec,
                                               const WinogradForm& form);

// "winograd_4x4_3x3": outputs of a tile, then the kernel; "_s2" for a stride. Scheme files hold
// these names.
struct WinogradName {
  std::array<char, 32> text{};
  size_t size = 0;
  constexpr explicit WinogradName(const WinogradForm& form) {
    Add("winograd_");
    Add(form.rows.n, form.columns.n);
    Add("_");
    Add(form.rows.r, form.columns.r);
    if (form.rows.stride > 1) {
      Add("_s");
      Add(form.rows.stride);
    }
  }
  constexpr std::string_view view() const { return {text.data(), size}; }

 private:
  constexpr void Add(std::string_view s) {
    for (char c : s) text[size++] = c;
  }
  constexpr void Add(int digit) { text[size++] = static_cast<char>('0' + digit); }
  constexpr void Add(int rows, int columns) {
    Add(rows);
    Add("x");
    Add(columns);
  }
};
template <auto* kForms, int kForm>
inline constexpr WinogradName kWinogradName{(*kForms)[kForm]};

// The candidate for form kForm of *kForms. kAccept: the verdict on any kernel for the operator;
// kSpecOf: its sizes.
template <auto* kForms, int kForm, auto kAccept, auto kSpecOf>
constexpr KernelEntry WinogradEntry() {
  constexpr const WinogradForm& kF = (*kForms)[kForm];
  return {.name = kWinogradName<kForms, kForm>.view(),
          .layouts = ConvLayouts,
          .accept =
              [](const KernelRequest& r) {
                const Verdict v = kAccept(r);
                return v ? AcceptWinograd(r, *kSpecOf(r), kF) : v;
              },
          .estimate = [](const KernelRequest& r) { return EstimateWinograd(r, *kSpecOf(r), kF); },
          .create = [](const KernelRequest& r) { return CreateWinograd(r, *kSpecOf(r), kF); }};
}

}  // namespace sula::cpu
