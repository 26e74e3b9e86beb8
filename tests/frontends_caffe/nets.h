// Makes small Caffe nets and runs them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "caffe_subset.pb.h"
#include "frontends/caffe/caffe.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/catalogue.h"

namespace sula::caffe {

// The weights of a net, by layer.
using LayerBlobs = std::map<std::string, std::vector<Tensor>>;

inline Tensor F(Dims dims, const std::vector<float>& values) {
  return Tensor::From<float>(std::move(dims), std::span<const float>(values));
}

// 0, 1, 2, ... times `step`, from `first` on.
inline Tensor Count(Dims dims, float first = 0, float step = 1) {
  Tensor t(DType::kFloat32, std::move(dims));
  for (float& v : t.mutable_data<float>()) {
    v = first;
    first += step;
  }
  return t;
}

// Values in [-1, 1) that repeat late, multiples of 1/64: short sums of their products are exact.
inline Tensor Noise(Dims dims, uint32_t seed = 1) {
  Tensor t(DType::kFloat32, std::move(dims));
  uint32_t state = seed * 2654435761u + 12345u;
  for (float& v : t.mutable_data<float>()) {
    state = state * 1664525u + 1013904223u;
    v = static_cast<float>(static_cast<int>(state >> 25) - 64) / 64.0f;
  }
  return t;
}

inline void SetBlob(const Tensor& t, Blob& blob) {
  for (int64_t d : t.dims()) blob.mutable_shape()->add_dim(d);
  for (float v : t.data<float>()) blob.add_data(v);
}

inline std::string Bytes(const WeightFile& file) { return file.SerializeAsString(); }

inline std::string Bytes(const LayerBlobs& blobs) {
  WeightFile file;
  for (const auto& [name, tensors] : blobs) {
    WeightFile::Layer& layer = *file.add_layer();
    layer.set_name(name);
    layer.set_type("Any");
    for (const Tensor& t : tensors) SetBlob(t, *layer.add_blobs());
  }
  return Bytes(file);
}

inline Result<Graph> TryImport(const std::string& text, const std::string& weights = "",
                               const CaffeOptions& options = {}) {
  return ImportCaffeText(text, std::as_bytes(std::span(weights)), options);
}

inline Graph Import(const std::string& text, const LayerBlobs& blobs = {},
                    const CaffeOptions& options = {}) {
  Result<Graph> graph = TryImport(text, Bytes(blobs), options);
  EXPECT_TRUE(graph) << graph.error().ToString();
  return graph ? *std::move(graph) : Graph();
}

inline std::string Error(const std::string& text, const LayerBlobs& blobs = {}) {
  Result<Graph> graph = TryImport(text, Bytes(blobs));
  return graph ? "no error" : graph.error().ToString();
}

inline std::vector<Tensor> RunGraph(const Graph& graph, const std::vector<Tensor>& inputs) {
  Result<std::vector<Tensor>> outputs = EvaluateGraph(graph, inputs);
  EXPECT_TRUE(outputs) << outputs.error().ToString();
  return outputs ? *std::move(outputs) : std::vector<Tensor>(graph.outputs().size());
}

inline std::vector<std::string> OutputNames(const Graph& graph) {
  std::vector<std::string> names;
  for (ValueId v : graph.outputs()) names.push_back(graph.value(v).name);
  return names;
}

inline std::string InputText(const std::string& name, const Dims& dims) {
  std::string text =
      "layer { name: '" + name + "' type: 'Input' top: '" + name + "' input_param { shape {";
  for (int64_t d : dims) text += " dim: " + std::to_string(d);
  return text + " } } }\n";
}

// A layer called "l" of bottoms x0, x1, ... and top y.
inline std::string OneLayer(const std::string& type, const std::string& parameters,
                            const std::vector<Dims>& bottoms) {
  std::string text, names;
  for (size_t i = 0; i < bottoms.size(); ++i) {
    const std::string name = "x" + std::to_string(i);
    text += InputText(name, bottoms[i]);
    names += " bottom: '" + name + "'";
  }
  return text + "layer { name: 'l' type: '" + type + "'" + names + " top: 'y' " + parameters + " }";
}

inline std::vector<Dims> DimsOf(const std::vector<Tensor>& tensors) {
  std::vector<Dims> dims;
  for (const Tensor& t : tensors) dims.push_back(t.dims());
  return dims;
}

// What such a layer gives for these bottoms.
inline Tensor RunLayer(const std::string& type, const std::string& parameters,
                       const std::vector<Tensor>& bottoms, const std::vector<Tensor>& blobs = {}) {
  LayerBlobs weights;
  if (!blobs.empty()) weights["l"] = blobs;
  return RunGraph(Import(OneLayer(type, parameters, DimsOf(bottoms)), weights), bottoms)[0];
}

inline std::string LayerError(const std::string& type, const std::string& parameters,
                              const std::vector<Dims>& bottoms,
                              const std::vector<Tensor>& blobs = {}) {
  LayerBlobs weights;
  if (!blobs.empty()) weights["l"] = blobs;
  return Error(OneLayer(type, parameters, bottoms), weights);
}

// Half a unit in the last place of a float, relative.
inline constexpr double kRounding = 0x1p-24;

// Same sizes, and every element within `roundings` roundings of its own size.
inline void ExpectEqual(const Tensor& got, const Tensor& want, double roundings = 0) {
  ASSERT_EQ(got.dims(), want.dims());
  for (int64_t i = 0; i < want.num_elements(); ++i)
    EXPECT_NEAR(got.AsDouble(i), want.AsDouble(i),
                roundings * kRounding * std::abs(want.AsDouble(i)))
        << "element " << i;
}

}  // namespace sula::caffe
