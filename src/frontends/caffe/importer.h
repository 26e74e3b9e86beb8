// A parsed net and its weights -> Graph: blobs, inputs, outputs, refusals.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "caffe_subset.pb.h"
#include "frontends/caffe/caffe.h"
#include "frontends/caffe/inputs.h"
#include "frontends/caffe/layer_import.h"
#include "frontends/caffe/weights.h"

namespace sula::caffe {

class Importer {
 public:
  // `net`: as ParseNet gives it.
  Importer(Net net, Weights weights, const CaffeOptions& options)
      : net_(std::move(net)), weights_(std::move(weights)), options_(options) {}

  Result<Graph> Run();

 private:
  // What a blob's name means at the current layer.
  struct BlobState {
    ValueId value = kNoValue;
    bool is_read = false;
    int64_t written = 0;  // the number of its definition
  };
  // Stands for the tops of layers that could not be translated, and of layers left out.
  static constexpr ValueId kRefused = -2, kLeftOut = -3;

  // Takes layers out of the net that only training needs, and those that read what these give.
  void LeaveOutTraining();
  Status AddInputs();
  Status AddInput(const InputBlob& blob);
  Status ImportLayer(const Layer& layer);
  // Says why the layer has no translation, or notes that it has no weights.
  Status CheckTranslatable(const Layer& layer, const LayerHandler* row);
  Status Translate(const Layer& layer, const LayerHandler& row, std::vector<ValueId> bottoms);
  void NoteMissingWeights(const Layer& layer, int found);
  // The blobs of a layer: its own in the caffemodel, or those of the layer it shares them with.
  Result<std::vector<Tensor>> TakeBlobs(const Layer& layer);
  // The graph's names for the tops: a blob's name goes to the last layer that writes it.
  std::vector<std::string> TopNames(const Layer& layer);
  // Defines a top of the layer.
  Status DefineTop(const Layer& layer, const std::string& blob, ValueId value);
  void Define(const std::string& blob, ValueId value);
  Status AddOutputs();
  Status MissingWeights() const;
  void Note(const std::string& text) const {
    if (options_.on_note) options_.on_note(text);
  }

  Net net_;
  Weights weights_;
  const CaffeOptions& options_;
  Graph graph_;
  std::map<std::string, BlobState, std::less<>> blobs_;
  int64_t definitions_ = 0;
  std::map<std::string, int, std::less<>> writers_;    // layers still to come that write a blob
  std::set<std::string, std::less<>> read_;            // blobs that layers in use read
  std::set<std::string, std::less<>> training_only_;   // blobs that layers left out read or write
  std::map<std::string, Tensor, std::less<>> shared_;  // blobs by the name of their param
  std::vector<std::string> without_weights_;           // layers, as messages call them
  Refusals refusals_;
};

}  // namespace sula::caffe
