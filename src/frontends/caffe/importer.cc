#include "frontends/caffe/importer.h"

#include <algorithm>

#include "base/status.h"
#include "ops/elementwise.h"

namespace sula::caffe {
namespace {

// Layers that a net has for training and its tests.
constexpr std::string_view kTrainingOnly[] = {
    "Accuracy",
    "ContrastiveLoss",
    "DetectionEvaluate",
    "EuclideanLoss",
    "HDF5Output",
    "HingeLoss",
    "InfogainLoss",
    "MultiBoxLoss",
    "MultinomialLogisticLoss",
    "SigmoidCrossEntropyLoss",
    "SmoothL1Loss",
    "SoftmaxWithLoss",
};

bool IsTrainingOnly(const Layer& layer) {
  return std::find(std::begin(kTrainingOnly), std::end(kTrainingOnly), layer.type()) !=
         std::end(kTrainingOnly);
}

// Layers whose top is their bottom, in the TEST phase.
bool IsPassing(const Layer& layer) { return layer.type() == "Dropout" || layer.type() == "Split"; }

std::string Frame(const Layer& layer) {
  return StrCat("layer '", layer.name(), "' (", layer.type(), ")");
}

std::string Range(int least, int most) {
  if (least == most) return StrCat(least);
  return most == kAny ? StrCat(least, " or more") : StrCat(least, " to ", most);
}

std::string Join(const std::vector<std::string>& items) {
  constexpr size_t kMost = 20;
  std::string text;
  for (size_t i = 0; i < std::min(items.size(), kMost); ++i)
    text += StrCat(i ? ", " : "", items[i]);
  if (items.size() > kMost) text += StrCat(" and ", items.size() - kMost, " more");
  return text;
}

}  // namespace

Result<Graph> Importer::Run() {
  graph_.name = net_.name();
  graph_.metadata["format"] = "caffe";
  LeaveOutTraining();
  for (const Layer& layer : net_.layer()) {
    if (std::ranges::count(layer.top(), "") > 0)
      return InvalidModel("a top without a name").AddContext(Frame(layer));
    for (const std::string& bottom : layer.bottom()) read_.insert(bottom);
    if (!IsPassing(layer))
      for (const std::string& top : layer.top()) ++writers_[top];
  }
  RETURN_IF_ERROR(AddInputs());
  for (const Layer& layer : net_.layer())
    if (Status s = ImportLayer(layer); !s.ok()) return std::move(s).AddContext(Frame(layer));
  RETURN_IF_ERROR(refusals_.ToStatus());
  RETURN_IF_ERROR(MissingWeights());
  RETURN_IF_ERROR(AddOutputs());
  RETURN_IF_ERROR(Verify(graph_));
  RETURN_IF_ERROR(InferShapes(graph_));
  if (std::vector<std::string> unused = weights_.NotTaken(); !unused.empty())
    Note(StrCat("weights that no layer takes are ignored: ", Join(unused)));
  return std::move(graph_);
}

void Importer::LeaveOutTraining() {
  std::vector<std::string> notes;
  auto left_out = [&](Layer& layer) {
    // Its second top are the probabilities.
    if (layer.type() == "SoftmaxWithLoss" && layer.top_size() > 1) {
      training_only_.insert(layer.bottom().begin() + std::min(1, layer.bottom_size()),
                            layer.bottom().end());
      training_only_.insert(layer.top(0));
      layer.set_type("Softmax");
      while (layer.bottom_size() > 1) layer.mutable_bottom()->RemoveLast();
      std::string probabilities = layer.top(1);
      layer.clear_top();
      layer.add_top(std::move(probabilities));
      return false;
    }
    bool reads_loss = std::any_of(layer.bottom().begin(), layer.bottom().end(), [&](auto& bottom) {
      auto it = blobs_.find(bottom);
      return it != blobs_.end() && it->second.value == kLeftOut;
    });
    if (!IsTrainingOnly(layer) && !reads_loss) return false;
    for (const std::string& top : layer.top()) blobs_[top].value = kLeftOut;
    training_only_.insert(layer.bottom().begin(), layer.bottom().end());
    notes.push_back(StrCat("'", layer.name(), "' (", layer.type(), ")"));
    return true;
  };
  auto& layers = *net_.mutable_layer();
  // One by one and in order, since a layer's fate depends on those before.
  std::vector<bool> drop;
  for (Layer& layer : layers) drop.push_back(left_out(layer));
  blobs_.clear();
  int i = 0;
  layers.erase(std::remove_if(layers.begin(), layers.end(), [&](auto&) { return drop[i++]; }),
               layers.end());
  if (!notes.empty()) Note(StrCat("layers for training are left out: ", Join(notes)));
}

Status Importer::AddInputs() {
  ASSIGN_OR_RETURN(std::vector<InputBlob> inputs, LegacyInputs(net_));
  for (const InputBlob& blob : inputs) RETURN_IF_ERROR(AddInput(blob));
  for (const Layer& layer : net_.layer()) {
    if (!IsInputLayer(layer)) continue;
    Result<std::vector<InputBlob>> tops = InputsOf(layer);
    if (!tops) return Status(tops.error()).AddContext(Frame(layer));
    bool first = true;
    for (const InputBlob& blob : *tops) {
      --writers_[blob.name];
      // Labels, and whatever else a database holds that nothing reads.
      const bool is_read = read_.contains(blob.name);
      if (!is_read && (layer.type() != "Input" || training_only_.contains(blob.name))) continue;
      if (Status s = AddInput(blob); !s.ok()) return std::move(s).AddContext(Frame(layer));
      std::string steps = Preprocessing(layer);
      if (!first || steps.empty()) continue;
      first = false;
      graph_.metadata["preprocessing." + blob.name] = steps;
      Note(StrCat("input '", blob.name,
                  "' has to be preprocessed by the caller, as the net says: ", steps));
    }
  }
  for (const auto& [name, shape] : options_.input_shapes)
    if (!blobs_.contains(name))
      return InvalidArgument("a shape was given for input '", name, "', which the net lacks");
  return {};
}

Status Importer::AddInput(const InputBlob& blob) {
  TensorType type{DType::kFloat32, blob.shape};
  if (auto given = options_.input_shapes.find(blob.name); given != options_.input_shapes.end()) {
    if (type.shape && type.shape->rank() != given->second.rank())
      return InvalidArgument("input '", blob.name, "': shape ", given->second.ToString(),
                             " was given, but the prototxt declares ", type.shape->ToString());
    type.shape = given->second;
  }
  const std::string remedy =
      StrCat("give its shape, for example --input-shape ", blob.name, "=1,3,224,224");
  if (!type.shape)
    return InvalidModel("the prototxt does not tell the sizes of input '", blob.name, "'; ",
                        remedy);
  for (const Dim& d : *type.shape)
    if (d.is_const() && d.value() < 1)
      return InvalidModel("input '", blob.name, "' has shape ", type.shape->ToString(), "; ",
                          remedy);
  RETURN_IF_ERROR(CheckSizes(type));
  if (blobs_.contains(blob.name)) return InvalidModel("input '", blob.name, "' is defined twice");
  Define(blob.name, graph_.AddInput(blob.name, std::move(type)));
  return {};
}

Status Importer::ImportLayer(const Layer& layer) {
  if (IsInputLayer(layer)) return {};
  std::vector<ValueId> bottoms;
  bool refused = false;
  for (const std::string& bottom : layer.bottom()) {
    auto it = blobs_.find(bottom);
    if (it == blobs_.end())
      return InvalidModel("bottom '", bottom, "' is not defined: no layer before gives it");
    it->second.is_read = true;
    refused |= it->second.value == kRefused;
    bottoms.push_back(it->second.value);
  }
  if (layer.type() == "Silence") return {};
  if (IsPassing(layer)) {
    if (bottoms.size() != 1) return InvalidModel(bottoms.size(), " bottoms given, expected 1");
    for (const std::string& top : layer.top()) RETURN_IF_ERROR(DefineTop(layer, top, bottoms[0]));
    return {};
  }
  const LayerHandler* row = FindHandler(layer.type());
  const size_t lacking = without_weights_.size();
  Status s = CheckTranslatable(layer, row);
  refused |= without_weights_.size() > lacking;
  if (s.ok() && !refused) {
    s = Translate(layer, *row, std::move(bottoms));
    if (s.ok() && without_weights_.size() == lacking) return {};
  }
  if (s.code() == Code::kUnsupported) {
    std::string what = s.message();
    for (const std::string& frame : s.context()) what += " in " + frame;
    refusals_.Add(what, StrCat("layer '", layer.name(), "'"));
  } else {
    RETURN_IF_ERROR(s);
  }
  for (const std::string& top : layer.top()) RETURN_IF_ERROR(DefineTop(layer, top, kRefused));
  return {};
}

Status Importer::CheckTranslatable(const Layer& layer, const LayerHandler* row) {
  if (!row && layer.type() == "Python")
    return Unsupported("Python layer ", layer.python_param().module(), ".",
                       layer.python_param().layer(), ", whose code is not part of the model");
  if (!row) return Unsupported("layer type ", layer.type().empty() ? "(none given)" : layer.type());
  if (layer.bottom_size() < row->min_bottoms || layer.bottom_size() > row->max_bottoms)
    return InvalidModel(layer.bottom_size(), " bottoms given, the layer has ",
                        Range(row->min_bottoms, row->max_bottoms));
  if (layer.top_size() < row->min_tops || layer.top_size() > row->max_tops)
    return InvalidModel(layer.top_size(), " tops given, the layer has ",
                        Range(row->min_tops, row->max_tops));
  const bool may_share = std::any_of(layer.param().begin(), layer.param().end(),
                                     [](const ParamSpec& param) { return !param.name().empty(); });
  if (row->has_weights && !may_share && !weights_.Has(layer.name())) NoteMissingWeights(layer, 0);
  return {};
}

Status Importer::Translate(const Layer& layer, const LayerHandler& row,
                           std::vector<ValueId> bottoms) {
  ASSIGN_OR_RETURN(std::vector<Tensor> blobs, TakeBlobs(layer));
  LayerImport import(graph_, layer, std::move(bottoms), std::move(blobs), TopNames(layer));
  row.handler(import);
  if (import.lacks_blobs()) {
    NoteMissingWeights(layer, import.num_blobs());
    return {};
  }
  RETURN_IF_ERROR(import.status());
  for (int i = 0; i < layer.top_size(); ++i)
    RETURN_IF_ERROR(DefineTop(layer, layer.top(i), import.tops()[i]));
  return {};
}

void Importer::NoteMissingWeights(const Layer& layer, int found) {
  without_weights_.push_back(StrCat("'", layer.name(), "' (", layer.type(),
                                    found > 0 ? StrCat(", only ", found, " blobs") : "", ")"));
}

Result<std::vector<Tensor>> Importer::TakeBlobs(const Layer& layer) {
  ASSIGN_OR_RETURN(std::vector<Tensor> blobs, weights_.Take(layer.name()));
  for (int i = 0; i < layer.param_size(); ++i) {
    const std::string& name = layer.param(i).name();
    if (name.empty()) continue;
    const size_t index = static_cast<size_t>(i);
    if (auto it = shared_.find(name); it != shared_.end()) {
      if (index < blobs.size())
        blobs[index] = it->second;
      else if (index == blobs.size())
        blobs.push_back(it->second);
    } else if (index < blobs.size()) {
      shared_.emplace(name, blobs[index]);
    }
  }
  return blobs;
}

std::vector<std::string> Importer::TopNames(const Layer& layer) {
  std::vector<std::string> names;
  for (const std::string& top : layer.top())
    names.push_back(--writers_[top] == 0 ? top : StrCat(top, "/", layer.name()));
  return names;
}

Status Importer::DefineTop(const Layer& layer, const std::string& blob, ValueId value) {
  const bool in_place =
      std::find(layer.bottom().begin(), layer.bottom().end(), blob) != layer.bottom().end();
  if (!in_place && blobs_.contains(blob))
    return InvalidModel("top '", blob, "' is defined by a layer before already");
  Define(blob, value);
  return {};
}

void Importer::Define(const std::string& blob, ValueId value) {
  blobs_[blob] = {value, false, ++definitions_};
}

Status Importer::AddOutputs() {
  std::map<int64_t, std::string> unread;
  for (const auto& [blob, state] : blobs_) {
    const bool is_input = graph_.IsInput(state.value) && graph_.value(state.value).name == blob;
    if (!state.is_read && !is_input) unread.emplace(state.written, blob);
  }
  for (const auto& [written, blob] : unread) {
    ValueId v = blobs_.at(blob).value;
    // Constants stay what they are, and every output gets a value of its own name.
    if (graph_.value(v).producer == kNoNode || graph_.IsOutput(v) || graph_.value(v).name != blob) {
      NodeId id = graph_.AddNode(op::kIdentity, Params::Of(NoParams{}), {v}, 1, blob, {blob});
      RETURN_IF_ERROR(InferOutputs(graph_, id));
      v = graph_.node(id).outputs[0];
    }
    graph_.AddOutput(v);
  }
  if (graph_.outputs().empty()) return InvalidModel("the net has no output: every top is read");
  return {};
}

Status Importer::MissingWeights() const {
  if (without_weights_.empty()) return {};
  if (!weights_.has_file())
    return InvalidModel("the net needs its weights: give the .caffemodel as well; without are ",
                        without_weights_.size(), " layers: ", Join(without_weights_));
  return InvalidModel("the caffemodel lacks the weights of ", without_weights_.size(),
                      " layers; it may be of another net, or the layers are called differently: ",
                      Join(without_weights_));
}

}  // namespace sula::caffe
