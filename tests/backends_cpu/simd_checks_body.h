// The checks of simd_checks.h for one vector type V.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>

#include "backends/cpu/simd/math.h"
#include "backends_cpu/simd_checks.h"

namespace sula::cpu {

template <class V>
struct SimdChecks {
  static constexpr int kN = V::kLanes;
  static constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  static constexpr float kInf = std::numeric_limits<float>::infinity();

  // -2.5, -1.25, 0, 1.25 ...: negative, ties, zero.
  static V Ramp() {
    float x[kN];
    for (int i = 0; i < kN; ++i) x[i] = 1.25f * static_cast<float>(i) - 2.5f;
    return V::Load(x);
  }
  template <class F>
  static bool Same(V got, F want) {
    float g[kN], x[kN];
    got.Store(g);
    Ramp().Store(x);
    for (int i = 0; i < kN; ++i)
      if (!(g[i] == want(x[i]))) return false;
    return true;
  }
  template <class F>
  static bool SameMask(typename V::Mask got, F want) {
    return Same(Select(got, V::Set(1), V::Zero()), [&](float x) { return want(x) ? 1.f : 0.f; });
  }

  static const char* Partial() {
    for (int n = 0; n <= kN; ++n) {
      float from[2 * kN], to[2 * kN];
      int32_t ifrom[2 * kN], ito[2 * kN];
      for (int i = 0; i < 2 * kN; ++i) {
        from[i] = static_cast<float>(i + 1), to[i] = -1;
        ifrom[i] = i + 1, ito[i] = -1;
      }
      const V v = V::LoadN(from, n);
      v.StoreN(to + 1, n);
      V::Int::LoadN(ifrom, n).StoreN(ito + 1, n);
      float all[kN];
      v.Store(all);
      for (int i = 0; i < kN; ++i)
        if (all[i] != (i < n ? from[i] : 0)) return "LoadN";
      for (int i = 0; i < 2 * kN; ++i) {
        const bool written = i >= 1 && i <= n;
        if (to[i] != (written ? from[i - 1] : -1)) return "StoreN";
        if (ito[i] != (written ? ifrom[i - 1] : -1)) return "Int::StoreN";
      }
    }
    return nullptr;
  }

  static const char* Arithmetic() {
    const V x = Ramp(), two = V::Set(2);
    if (!Same(x + two, [](float x) { return x + 2; })) return "+";
    if (!Same(x - two, [](float x) { return x - 2; })) return "-";
    if (!Same(x * two, [](float x) { return x * 2; })) return "*";
    if (!Same(x / two, [](float x) { return x / 2; })) return "/";
    if (!Same(-x, [](float x) { return -x; })) return "unary -";
    if (!Same(Fma(x, two, V::Set(1)), [](float x) { return x * 2 + 1; })) return "Fma";
    if (!Same(Fnma(x, two, V::Set(1)), [](float x) { return 1 - x * 2; })) return "Fnma";
    if (!Same(Max(x, two), [](float x) { return x > 2 ? x : 2; })) return "Max";
    if (!Same(Min(x, two), [](float x) { return x < 2 ? x : 2; })) return "Min";
    if (!Same(Abs(x), [](float x) { return std::fabs(x); })) return "Abs";
    if (!Same(Sqrt(Abs(x)), [](float x) { return std::sqrt(std::fabs(x)); })) return "Sqrt";
    if (!Same(Floor(x), [](float x) { return std::floor(x); })) return "Floor";
    if (!Same(Ceil(x), [](float x) { return std::ceil(x); })) return "Ceil";
    if (!Same(Trunc(x), [](float x) { return std::trunc(x); })) return "Trunc";
    if (!Same(Round(x), [](float x) { return std::nearbyint(x); })) return "Round";
    if (!Same(CopySign(two, x), [](float x) { return std::copysign(2.f, x); })) return "CopySign";
    float zero[kN];
    V::Set(-0.f).Store(zero);
    if (!std::signbit(zero[0])) return "Set(-0)";
    // A NaN in the second operand passes, so a clamp keeps it.
    if (!All(IsNaN(Min(V::Set(6), Max(V::Zero(), V::Set(kNan)))))) return "NaN in Min(Max)";
    return nullptr;
  }

  static const char* Masks() {
    const V x = Ramp(), zero = V::Zero();
    if (!SameMask(x < zero, [](float x) { return x < 0; })) return "<";
    if (!SameMask(x <= zero, [](float x) { return x <= 0; })) return "<=";
    if (!SameMask(x > zero, [](float x) { return x > 0; })) return ">";
    if (!SameMask(x >= zero, [](float x) { return x >= 0; })) return ">=";
    if (!SameMask(x == zero, [](float x) { return x == 0; })) return "==";
    if (!SameMask(x != zero, [](float x) { return x != 0; })) return "!=";
    if (!SameMask((x < zero) | (x == zero), [](float x) { return x <= 0; })) return "|";
    if (!SameMask(~(x < zero) & (x != zero), [](float x) { return x > 0; })) return "~ or &";
    const V nan = V::Set(kNan);
    if (Any(nan < zero) || Any(nan >= zero) || Any(nan == nan) || !All(nan != nan)) return "NaN";
    if (!Any(x < zero) || All(x < zero) || Any(IsNaN(x))) return "Any, All, IsNaN";
    return nullptr;
  }

  static const char* Integers() {
    using Int = typename V::Int;
    const V x = Ramp();
    if (!Same(ToFloat(ToInt(x)), [](float x) { return std::nearbyint(x); })) return "ToInt";
    if (!Same(ToFloat(TruncToInt(x)), [](float x) { return std::trunc(x); })) return "TruncToInt";
    if (!Same(AsFloat(AsInt(x)), [](float x) { return x; })) return "AsInt";
    const Int i = TruncToInt(x), three = Int::Set(3);
    if (!Same(ToFloat(i * three + three - i), [](float x) { return 2 * std::trunc(x) + 3; }))
      return "integer arithmetic";
    if (!Same(ToFloat(ShiftRight<1>(ShiftLeft<2>(i))), [](float x) { return 2 * std::trunc(x); }))
      return "shifts";
    if (!Same(ToFloat((i & three) | (i ^ i)),
              [](float x) { return static_cast<float>(static_cast<int>(x) & 3); }))
      return "bits";
    if (!SameMask(i > three, [](float x) { return std::trunc(x) > 3; })) return "Int >";
    if (!SameMask(i == Int::Set(0), [](float x) { return std::trunc(x) == 0; })) return "Int ==";
    if (!Same(ToFloat(Select(i > three, three, i)),
              [](float x) { return std::trunc(x) > 3 ? 3 : std::trunc(x); }))
      return "Int Select";
    return nullptr;
  }

  static const char* Lanes() {
    float sum = 0;
    float x[kN];
    Ramp().Store(x);
    for (float v : x) sum += v;
    if (ReduceAdd(Ramp()) != sum) return "ReduceAdd";  // multiples of 1/4: exact in any order
    if (ReduceMax(Ramp()) != x[kN - 1] || ReduceMin(Ramp()) != x[0]) return "ReduceMax, ReduceMin";
    V rows[kN];
    for (int i = 0; i < kN; ++i) rows[i] = Ramp() + V::Set(static_cast<float>(100 * i));
    Transpose(rows);
    for (int i = 0; i < kN; ++i) {
      float row[kN];
      rows[i].Store(row);
      for (int j = 0; j < kN; ++j)
        if (row[j] != x[i] + static_cast<float>(100 * j)) return "Transpose";
    }
    return nullptr;
  }

  // kF is a template argument, since the functions are always inlined and so have no address.
  template <V (*kF)(V)>
  static bool Limits(float x, float want) {
    float y[kN];
    kF(V::Set(x)).Store(y);
    return std::isnan(want) ? std::isnan(y[0]) : y[0] == want;
  }
  static const char* MathLimits() {
    using namespace simd;  // NOLINT: functions under test
    if (!Limits<Exp<V>>(kInf, kInf) || !Limits<Exp<V>>(-kInf, 0) || !Limits<Exp<V>>(kNan, kNan) ||
        !Limits<Exp<V>>(89.5f, kInf) || !Limits<Exp<V>>(-110, 0))
      return "limits of Exp";
    if (!Limits<Log<V>>(kInf, kInf) || !Limits<Log<V>>(0, -kInf) || !Limits<Log<V>>(-1, kNan) ||
        !Limits<Log<V>>(kNan, kNan))
      return "limits of Log";
    if (!Limits<Tanh<V>>(kInf, 1) || !Limits<Tanh<V>>(-kInf, -1) || !Limits<Tanh<V>>(kNan, kNan))
      return "limits of Tanh";
    if (!Limits<Sigmoid<V>>(kInf, 1) || !Limits<Sigmoid<V>>(-kInf, 0)) return "limits of Sigmoid";
    if (!Limits<Erf<V>>(kInf, 1) || !Limits<Erf<V>>(-kInf, -1) || !Limits<Erf<V>>(kNan, kNan))
      return "limits of Erf";
    if (!Limits<Gelu<V>>(kInf, kInf) || !Limits<Gelu<V>>(-kInf, 0) || !Limits<Gelu<V>>(kNan, kNan))
      return "limits of Gelu";
    return nullptr;
  }

  static const char* FirstFailure() {
    for (auto* check : {Partial, Arithmetic, Masks, Integers, Lanes, MathLimits})
      if (const char* wrong = check()) return wrong;
    return nullptr;
  }

  // Largest error of f against `exact` on [low, high], in units of the last place.
  template <V (*kF)(V)>
  static double Ulps(double (*exact)(double), double low, double high) {
    double worst = 0;
    constexpr int kSteps = 200000;
    for (int i = 0; i < kSteps; i += kN) {
      float x[kN], y[kN];
      for (int j = 0; j < kN; ++j) x[j] = static_cast<float>(low + (high - low) * (i + j) / kSteps);
      kF(V::Load(x)).Store(y);
      for (int j = 0; j < kN; ++j) {
        const double want = exact(static_cast<double>(x[j]));
        const double magnitude = std::fmax(std::fabs(want), 1.2e-38);
        const double ulp = std::ldexp(1.0, std::ilogb(magnitude) - 23);
        worst = std::fmax(worst, std::fabs(y[j] - want) / ulp);
      }
    }
    return worst;
  }
  // Largest error of x Phi(x), relative to max(1, |x|): near zero, where Phi changes, and over all
  // finite floats.
  static double GeluError() {
    double worst = 0;
    const auto add = [&](float at) {
      float y[kN];
      simd::Gelu(V::Set(at)).Store(y);
      const double x = at, want = x * std::erfc(-x / std::sqrt(2.0)) / 2;
      worst = std::fmax(worst, std::fabs(y[0] - want) / std::fmax(1, std::fabs(x)));
    };
    constexpr int kSteps = 100000;
    for (int i = 0; i <= kSteps; ++i) {
      add(static_cast<float>(12.0 * i / kSteps - 6));
      constexpr uint32_t kLargest = 0x7f7fffff;
      const float x = std::bit_cast<float>(kLargest / kSteps * static_cast<uint32_t>(i));
      add(x), add(-x);
    }
    return worst;
  }
  static MathErrors Errors() {
    auto exp = [](double x) { return std::exp(x); };
    auto log = [](double x) { return std::log(x); };
    auto tanh = [](double x) { return std::tanh(x); };
    auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
    auto erf = [](double x) { return std::erf(x); };
    MathErrors e;
    e.exp = std::fmax(Ulps<simd::Exp<V>>(exp, -87, 88.5), Ulps<simd::Exp<V>>(exp, -1, 1));
    e.log = std::fmax(Ulps<simd::Log<V>>(log, 1e-6, 1e6), Ulps<simd::Log<V>>(log, .5, 2));
    e.tanh = Ulps<simd::Tanh<V>>(tanh, -10, 10);
    e.sigmoid = Ulps<simd::Sigmoid<V>>(sigmoid, -80, 30);
    e.erf = Ulps<simd::Erf<V>>(erf, -5, 5);
    e.gelu = GeluError();
    return e;
  }
};

}  // namespace sula::cpu
