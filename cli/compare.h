// Comparing runs value by value.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "difference.h"
#include "npy.h"
#include "workload.h"

namespace sula::cli {

// One of the two that are compared.
struct Side {
  std::string title;  // "net.onnx, as imported, on reference"
  Workload workload;
  SessionOptions session;
};

// A value that both sides have.
struct ComparedValue {
  std::string name, node, op, type;  // node and operator that made it in A; "" for an input
  bool output = false;               // of the model
  Difference difference;
};

struct Comparison {
  std::string a, b;                   // titles
  std::vector<ComparedValue> values;  // in the order in which A computes them
  double tolerance = 0;               // of Difference::relative
  std::vector<std::string> notes;

  bool Agrees(const ComparedValue& v) const;
  bool OutputsAgree() const;
  // The first that does not agree; null if all do.
  const ComparedValue* FirstDivergence() const;
  // The largest relative difference; null if there is no value.
  const ComparedValue* Worst() const;
};

// Names of the values that nodes of the model compute, in order, and of its outputs.
std::vector<std::string> ValueNames(const Workload& workload);

// A run with all of these values (which the model has) as outputs.
Result<std::unique_ptr<Session>> RunWith(const Side& side, const std::vector<std::string>& values);

// Runs both on the same inputs and compares all values whose names both have, besides the outputs.
Result<Comparison> CompareSides(const Side& a, const Side& b, double tolerance);

// Runs `a` and compares with the tensors of a folder: those that its outputs.json lists by name, or
// else output_0.npy, ... in the order of the model's outputs. The folder is side A of the result.
Result<Comparison> CompareWithFolder(const Side& b, const std::string& folder, double tolerance);

nlohmann::ordered_json ToJson(const Comparison& comparison);
// A table of all values, or of those that matter most, and what follows from them.
void Print(const Comparison& comparison, bool all);

}  // namespace sula::cli
