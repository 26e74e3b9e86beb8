// Recurrent layers through their adapter, in all forms of ops/recurrent.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "backends/cpu/kernels/recurrent/recurrent.h"
#include "backends_cpu/kernel_harness.h"
#include "base/status.h"

namespace sula::cpu {
namespace {

struct Form {
  std::string op = "Lstm";
  int64_t steps = 4, batch = 1, inputs = 5, units = 8;
  std::string direction = "forward";
  std::string fields = {};  // more of them: ", clip=0.5"
  bool batch_first = false;
  std::string lens = {};  // "[3, 0]"; empty: absent
  bool bias = true, states = true, peephole = false, keep = false;
  bool constant = true;  // weights
  std::vector<int> threads = {1, 2, 3};
  std::string outputs = "%y, %h, %c";  // %c: Lstm only
};

// The values of a gate are sums of 1 + inputs + units products with factors up to 1, of rounding
// error (terms * eps) * terms at most, and much less with random signs; the functions' slopes are
// at most 1 (where a test gives larger ones it says so) and their own errors some eps. A state's
// error enters the next step's sum through `units` weights of mean size 1/2, damped by the gates'
// slopes: below 1/4 for Sigmoid and in saturation, so that errors of a few steps add up instead of
// growing.
double Tolerance(const Form& f, double slope) {
  constexpr double kEps = std::numeric_limits<float>::epsilon();
  const double terms = static_cast<double>(f.inputs + f.units + 2);
  return slope * kEps * terms * static_cast<double>(f.steps + 1) * 4;
}

void Check(const Form& f, double slope = 1) {
  const int64_t gates = f.op == "Lstm" ? 4 : f.op == "Gru" ? 3 : 1;
  const int64_t directions = f.direction == "bidirectional" ? 2 : 1;
  std::string declared, call;
  int seed = 1;
  const auto input = [&](bool present, std::string_view name, std::string_view type,
                         std::string_view shape, std::string value) {
    if (!present) {
      call += ", _";
      return;
    }
    if (value.empty()) {
      declared += StrCat("  input %", name, ": ", type, shape, "\n");
    } else {
      declared += StrCat("  const %", name, ": ", type, shape, " = ", value, "\n");
    }
    call += StrCat(call.empty() ? "%" : ", %", name);
  };
  const auto weights = [&] { return f.constant ? StrCat("random(", seed++, ")") : std::string(); };
  const auto pair = [&](int64_t a, int64_t b) {
    return f.batch_first ? StrCat("[", b, ",", a, ",") : StrCat("[", a, ",", b, ",");
  };
  const std::string state = StrCat(pair(directions, f.batch), f.units, "]");
  input(true, "x", "float32", StrCat(pair(f.steps, f.batch), f.inputs, "]"), "");
  input(true, "w", "float32", StrCat("[", directions, ",", gates * f.units, ",", f.inputs, "]"),
        weights());
  input(true, "r", "float32", StrCat("[", directions, ",", gates * f.units, ",", f.units, "]"),
        weights());
  input(f.bias, "bias", "float32", StrCat("[", directions, ",", 2 * gates * f.units, "]"),
        weights());
  input(!f.lens.empty(), "lens", "int32", StrCat("[", f.batch, "]"), f.lens);
  input(f.states, "h0", "float32", state, "");
  if (f.op == "Lstm") {
    input(f.states, "c0", "float32", state, "");
    input(f.peephole, "peephole", "float32", StrCat("[", directions, ",", 3 * f.units, "]"), "");
  }
  std::string rows = pair(f.steps, f.batch);
  rows.back() = ']';
  input(f.keep, "keep", "float32", rows, "");
  std::string results = f.op == "Lstm" ? f.outputs : f.outputs.substr(0, f.outputs.rfind(','));
  std::string given = results;
  for (size_t at; (at = given.find("_, ")) != std::string::npos;) given.erase(at, 3);
  for (size_t at; (at = given.find(", _")) != std::string::npos;) given.erase(at, 3);
  const std::string text =
      StrCat("graph \"g\" {\n", declared, "  ", results, " = ", f.op, "(", call, ") {direction=\"",
             f.direction, "\"", f.batch_first ? ", batch_first=true" : "", f.fields, "}\n  output ",
             given, "\n}\n");
  HarnessOptions options;
  options.absolute = Tolerance(f, slope);
  options.threads = f.threads;
  EXPECT_FALSE(CheckKernels(text, options).empty()) << text;
}

const char* const kOps[] = {"Rnn", "Gru", "Lstm"};

TEST(Recurrent, SizesAndBatches) {
  for (const char* op : kOps) {
    for (int64_t units : {1, 3, 8, 17, 33, 70}) {
      for (int64_t batch : {1, 2, 5}) {
        Check({.op = op, .batch = batch, .inputs = 1 + units / 2, .units = units});
        Check({.op = op,
               .steps = 1,
               .batch = batch,
               .inputs = 9,
               .units = units,
               .direction = "bidirectional"});
      }
    }
  }
}

TEST(Recurrent, LinearBeforeReset) {
  for (int64_t units : {1, 8, 17, 70}) {
    for (int64_t batch : {1, 3}) {
      for (const char* direction : {"forward", "bidirectional"}) {
        Check({.op = "Gru",
               .batch = batch,
               .units = units,
               .direction = direction,
               .fields = ", linear_before_reset=true"});
      }
    }
  }
}

// Steps of so much work that threads share them.
TEST(Recurrent, StepsInPieces) {
  for (const char* direction : {"forward", "bidirectional"}) {
    for (const auto& [op, units] :
         {std::pair("Rnn", 310), std::pair("Gru", 181), std::pair("Lstm", 155)}) {
      Form form = {.op = op, .steps = 3, .inputs = 3, .units = units, .direction = direction};
      form.threads = {2, 3, 7};
      Check(form);
      form.batch = 40, form.units /= 5;
      Check(form);
    }
  }
  Check({.op = "Gru", .steps = 3, .units = 181, .fields = ", linear_before_reset=true"});
}

// More steps than one chunk of projected inputs has.
TEST(Recurrent, LongSequences) {
  for (const char* direction : {"forward", "reverse", "bidirectional"}) {
    Check({.steps = 900,
           .batch = 40,
           .inputs = 1,
           .units = 2,
           .direction = direction,
           .states = false,
           .outputs = "_, %h, %c"});
  }
}

TEST(Recurrent, DirectionsLayoutsAndLengths) {
  for (const char* op : kOps) {
    for (const char* direction : {"forward", "reverse", "bidirectional"}) {
      for (bool batch_first : {false, true}) {
        for (const char* lens : {"", "[4, 0, 2]", "[0, 0, 0]", "[1, 3, 1]"}) {
          for (bool keep : {false, true}) {
            Check({.op = op,
                   .batch = 3,
                   .units = 11,
                   .direction = direction,
                   .batch_first = batch_first,
                   .lens = lens,
                   .keep = keep});
          }
        }
      }
    }
  }
}

TEST(Recurrent, AbsentInputsAndOutputs) {
  for (const char* op : kOps) {
    for (const char* outputs : {"%y, _, _", "_, %h, _", "%y, _, %c", "%y, %h, _"}) {
      if (std::string_view(op) != "Lstm" && std::string_view(outputs) == "_, %h, _") continue;
      Check({.op = op, .batch = 2, .lens = "[3, 4]", .states = false, .outputs = outputs});
    }
    Check({.op = op, .bias = false});
    Check({.op = op, .batch = 2, .bias = false, .states = false});
  }
}

TEST(Recurrent, WeightsOfEachRun) {
  for (const char* op : kOps) {
    for (int64_t batch : {1, 3}) {
      Check(
          {.op = op, .batch = batch, .units = 19, .direction = "bidirectional", .constant = false});
    }
  }
  Check({.op = "Gru",
         .units = 19,
         .fields = ", linear_before_reset=true",
         .bias = false,
         .constant = false});
}

TEST(Recurrent, PeepholesClipAndCoupledGates) {
  for (int64_t batch : {1, 2}) {
    for (const char* fields :
         {"", ", clip=0.25", ", input_forget=true", ", clip=0.5, input_forget=true"}) {
      for (bool peephole : {false, true}) {
        Check({.batch = batch,
               .units = 13,
               .direction = "bidirectional",
               .fields = fields,
               .peephole = peephole});
      }
    }
  }
  Check({.op = "Rnn", .fields = ", clip=0.25"});
  Check({.op = "Gru", .fields = ", clip=0.25"});
  Check({.op = "Gru", .fields = ", clip=0.25, linear_before_reset=true"});
}

TEST(Recurrent, Activations) {
  // Names with their numbers; a clip keeps those without bound from growing over the steps.
  const char* const kFunctions[][3] = {
      {"Sigmoid", "0", "0"},        {"Tanh", "0", "0"},
      {"Relu", "0", "0"},           {"Affine", "0.5", "0.25"},
      {"LeakyRelu", "0.1", "0"},    {"ThresholdedRelu", "0.25", "0"},
      {"ScaledTanh", "0.7", "0.9"}, {"HardSigmoid", "0.3", "0.4"},
      {"Elu", "0.8", "0"},          {"Softsign", "0", "0"},
      {"Softplus", "0", "0"}};
  for (const auto& [name, a, b] : kFunctions) {
    for (const auto& [op, count] :
         {std::pair("Rnn", 1), std::pair("Gru", 2), std::pair("Lstm", 3)}) {
      std::string names, alpha, beta;
      for (int i = 0; i < count; ++i) {
        names += StrCat(i ? ", \"" : "\"", name, "\"");
        alpha += StrCat(i ? ", " : "", a), beta += StrCat(i ? ", " : "", b);
      }
      Check({.op = op,
             .steps = 3,
             .units = 9,
             .fields = StrCat(", activations=[", names, "], alpha=[", alpha, "], beta=[", beta,
                              "], clip=1")},
            8);
    }
  }
  // Each gate, and each direction, with its own.
  Check({.direction = "bidirectional",
         .fields = ", activations=[\"HardSigmoid\", \"Softsign\", \"Tanh\", \"Sigmoid\", \"Elu\", "
                   "\"Softplus\"]"},
        8);
}

// What the clip cuts to exactly the threshold is kept.
TEST(Recurrent, AThresholdThatIsMet) {
  Check({.op = "Rnn",
         .inputs = 40,
         .fields = ", activations=[\"ThresholdedRelu\"], alpha=[0.5], clip=0.5"});
}

std::vector<float> RandomFloats(int64_t n, std::mt19937& rng) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) x = uniform(rng);
  return v;
}

TEST(RowProduct, EveryInstructionSetAndWidth) {
  std::mt19937 rng(1);
  for (Target target : AvailableTargets()) {
    const int64_t lanes = GemmFor(target).lanes;
    for (int64_t rows : {1, 2, 7}) {
      for (int64_t k : {1, 5, 64}) {
        for (int64_t vectors = 1; vectors <= kMaxRowVectors + 2; ++vectors) {
          for (int64_t tail : {int64_t{0}, int64_t{1}, lanes - 1}) {
            const int64_t n = vectors * lanes - tail;
            if (n < 1) continue;
            const std::vector<float> b = RandomFloats(n * k, rng), a = RandomFloats(rows * k, rng),
                                     bias = RandomFloats(n + 3 * lanes, rng);
            std::vector<Panel> panels;
            AppendPanels(target, rows, k, 0, n, panels);
            const WeightShape shape = {n, 1, k, 1};
            std::vector<float> packed(
                static_cast<size_t>(PackedFloats(panels, shape, static_cast<int>(lanes))));
            for (const Panel& panel : panels)
              PackPanel({b.data(), k, 0, 1}, panel, shape, static_cast<int>(lanes), 1,
                        packed.data());
            std::vector<float> c(static_cast<size_t>(rows * n + 1), 7);
            RowProduct p;
            p.target = target, p.rows = rows, p.k = k;
            p.a = a.data(), p.a_stride = k;
            p.panels = panels.data(), p.packed = packed.data(), p.bias = bias.data();
            p.c = c.data(), p.stride = n;
            RunRowProduct(p, 0, rows, 0, static_cast<int>(panels.size()));
            EXPECT_EQ(c.back(), 7) << "wrote behind the last column";
            // k + 1 products and sums below k + 1, each rounded once
            const double tolerance = 2 * static_cast<double>((k + 1) * (k + 1)) * 6e-8;
            for (int64_t i = 0; i < rows; ++i) {
              for (int64_t j = 0; j < n; ++j) {
                double sum = bias[static_cast<size_t>(j)];
                for (int64_t q = 0; q < k; ++q)
                  sum +=
                      double{a[static_cast<size_t>(i * k + q)]} * b[static_cast<size_t>(j * k + q)];
                ASSERT_NEAR(c[static_cast<size_t>(i * n + j)], sum, tolerance)
                    << Name(target) << ", " << rows << " x " << k << " x " << n;
              }
            }
          }
        }
      }
    }
  }
}

// The adapter takes the best instruction set: here the others are held against it.
TEST(Recurrent, EveryInstructionSetGivesTheSame) {
  std::mt19937 rng(2);
  for (CellKind kind : {CellKind::kRnn, CellKind::kGru, CellKind::kLstm}) {
    for (bool linear_before_reset : {false, true}) {
      for (int64_t units : {3, 16, 45}) {
        for (int64_t batch : {1, 3}) {
          RecurrentSpec s;
          s.steps = 3, s.batch = batch, s.inputs = 6, s.units = units, s.directions = 2;
          for (CellSpec& cell : s.cells) {
            cell.kind = kind, cell.linear_before_reset = linear_before_reset;
            cell.curves[0].fn = Unary::kSigmoid;
            cell.curves[1].fn = cell.curves[2].fn = Unary::kTanh;
          }
          const int64_t rows = 2 * GatesOf(kind) * units;
          const std::vector<float> x = RandomFloats(s.steps * batch * s.inputs, rng),
                                   w = RandomFloats(rows * s.inputs, rng),
                                   r = RandomFloats(rows * units, rng),
                                   bias = RandomFloats(2 * rows, rng);
          const RecurrentWeights weights = {w.data(), r.data(), bias.data()};
          std::vector<float> expected;
          for (Target target : AvailableTargets()) {
            auto layer = Recurrent::Make(s, &weights, {target, 2, 512 << 10});
            ASSERT_TRUE(layer.has_value());
            AlignedBuffer workspace(layer->workspace_bytes());
            std::vector<float> y(static_cast<size_t>(s.steps * 2 * batch * units));
            RecurrentArgs args;
            args.x = x.data(), args.y = y.data(), args.workspace = workspace.data();
            EXPECT_TRUE(layer->Run(args, Parallel(2)).ok());
            if (target == Target::kScalar) expected = y;
            for (size_t i = 0; i < y.size(); ++i)
              ASSERT_NEAR(y[i], expected[i],
                          2 * Tolerance({.steps = 3, .inputs = 6, .units = units}, 1))
                  << Name(target);
          }
        }
      }
    }
  }
}

TEST(Recurrent, LengthsOutOfRangeAreAnError) {
  RecurrentSpec s;
  s.steps = 3, s.batch = 2, s.inputs = 1, s.units = 1;
  const float ones[4] = {1, 1, 1, 1};
  const RecurrentWeights weights = {ones, ones, nullptr};
  auto layer = Recurrent::Make(s, &weights, {BestTarget(), 1, 512 << 10});
  ASSERT_TRUE(layer.has_value());
  AlignedBuffer workspace(layer->workspace_bytes());
  float x[6] = {}, y[6];
  for (int32_t bad : {-1, 4}) {
    const int32_t lens[2] = {3, bad};
    RecurrentArgs args;
    args.x = x, args.y = y, args.lens = lens, args.workspace = workspace.data();
    const Status status = layer->Run(args, Parallel(1));
    EXPECT_THAT(status.ToString(), ::testing::HasSubstr(StrCat("lens holds ", bad)));
  }
}

}  // namespace
}  // namespace sula::cpu
