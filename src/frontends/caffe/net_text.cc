#include "frontends/caffe/net_text.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/text_format.h>

#include <algorithm>

namespace sula::caffe {
namespace {

// Far beyond any net, and far below what the parser's ints could not count.
constexpr size_t kMaxText = size_t{256} << 20;
constexpr int kMaxNesting = 64;

// Keeps the first error; skipped fields come as warnings, which nobody needs.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  explicit FirstError(const std::string& file) : file_(file) {}
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (text_.empty()) text_ = StrCat(file_, ":", line + 1, ":", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  const std::string& file_;
  std::string text_;
};

// The V2 name of a V1 type.
std::string_view TypeName(V1Layer::Type type) {
  switch (type) {
    case V1Layer::NONE: break;
    case V1Layer::ABSVAL: return "AbsVal";
    case V1Layer::ACCURACY: return "Accuracy";
    case V1Layer::ARGMAX: return "ArgMax";
    case V1Layer::BNLL: return "BNLL";
    case V1Layer::CONCAT: return "Concat";
    case V1Layer::CONTRASTIVE_LOSS: return "ContrastiveLoss";
    case V1Layer::CONVOLUTION: return "Convolution";
    case V1Layer::DATA: return "Data";
    case V1Layer::DECONVOLUTION: return "Deconvolution";
    case V1Layer::DROPOUT: return "Dropout";
    case V1Layer::DUMMY_DATA: return "DummyData";
    case V1Layer::ELTWISE: return "Eltwise";
    case V1Layer::EUCLIDEAN_LOSS: return "EuclideanLoss";
    case V1Layer::EXP: return "Exp";
    case V1Layer::FLATTEN: return "Flatten";
    case V1Layer::HDF5_DATA: return "HDF5Data";
    case V1Layer::HDF5_OUTPUT: return "HDF5Output";
    case V1Layer::HINGE_LOSS: return "HingeLoss";
    case V1Layer::IM2COL: return "Im2col";
    case V1Layer::IMAGE_DATA: return "ImageData";
    case V1Layer::INFOGAIN_LOSS: return "InfogainLoss";
    case V1Layer::INNER_PRODUCT: return "InnerProduct";
    case V1Layer::LRN: return "LRN";
    case V1Layer::MEMORY_DATA: return "MemoryData";
    case V1Layer::MULTINOMIAL_LOGISTIC_LOSS: return "MultinomialLogisticLoss";
    case V1Layer::MVN: return "MVN";
    case V1Layer::POOLING: return "Pooling";
    case V1Layer::POWER: return "Power";
    case V1Layer::RELU: return "ReLU";
    case V1Layer::SIGMOID: return "Sigmoid";
    case V1Layer::SIGMOID_CROSS_ENTROPY_LOSS: return "SigmoidCrossEntropyLoss";
    case V1Layer::SILENCE: return "Silence";
    case V1Layer::SLICE: return "Slice";
    case V1Layer::SOFTMAX: return "Softmax";
    case V1Layer::SOFTMAX_LOSS: return "SoftmaxWithLoss";
    case V1Layer::SPLIT: return "Split";
    case V1Layer::TANH: return "TanH";
    case V1Layer::THRESHOLD: return "Threshold";
    case V1Layer::WINDOW_DATA: return "WindowData";
  }
  return "";
}

// Copies the parameter messages, which both forms call the same.
void CopyParameters(const V1Layer& from, Layer& to) {
  using google::protobuf::FieldDescriptor;
  std::vector<const FieldDescriptor*> fields;
  from.GetReflection()->ListFields(from, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->is_repeated() || field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const FieldDescriptor* target = to.GetDescriptor()->FindFieldByName(field->name());
    if (!target || target->message_type() != field->message_type()) continue;
    to.GetReflection()
        ->MutableMessage(&to, target)
        ->CopyFrom(from.GetReflection()->GetMessage(from, field));
  }
}

Status UpgradeLayers(Net& net) {
  if (net.layers().empty()) return {};
  if (!net.layer().empty())
    return InvalidModel("the net has layers of two forms, 'layer' and 'layers'");
  for (const V1Layer& old : net.layers()) {
    if (old.has_layer())
      return Unsupported(
          "the net is in the form of 2013 (V0, 'layers { layer { ... } }'); upgrade it with "
          "Caffe's "
          "tools upgrade_net_proto_text and upgrade_net_proto_binary");
    Layer& layer = *net.add_layer();
    layer.set_name(old.name());
    layer.set_type(std::string(TypeName(old.type())));
    *layer.mutable_bottom() = old.bottom();
    *layer.mutable_top() = old.top();
    *layer.mutable_include() = old.include();
    *layer.mutable_exclude() = old.exclude();
    for (const std::string& name : old.param()) layer.add_param()->set_name(name);
    CopyParameters(old, layer);
  }
  net.clear_layers();
  return {};
}

bool Meets(const NetState& state, const NetStateRule& rule) {
  auto has = [&](const std::string& stage) {
    return std::find(state.stage().begin(), state.stage().end(), stage) != state.stage().end();
  };
  if (rule.has_phase() && rule.phase() != TEST) return false;
  if (rule.has_min_level() && state.level() < rule.min_level()) return false;
  if (rule.has_max_level() && state.level() > rule.max_level()) return false;
  for (const std::string& stage : rule.stage())
    if (!has(stage)) return false;
  for (const std::string& stage : rule.not_stage())
    if (has(stage)) return false;
  return true;
}

// Drops the layers that are not part of the net in its TEST phase.
Status FilterLayers(Net& net) {
  for (const Layer& layer : net.layer())
    if (!layer.include().empty() && !layer.exclude().empty())
      return InvalidModel("layer '", layer.name(), "' has include rules and exclude rules");
  auto meets = [&](const NetStateRule& rule) { return Meets(net.state(), rule); };
  auto left_out = [&](const Layer& layer) {
    if (!layer.include().empty())
      return std::none_of(layer.include().begin(), layer.include().end(), meets);
    return std::any_of(layer.exclude().begin(), layer.exclude().end(), meets);
  };
  auto& layers = *net.mutable_layer();
  layers.erase(std::remove_if(layers.begin(), layers.end(), left_out), layers.end());
  return {};
}

}  // namespace

Result<Net> ParseNet(std::string_view text, const std::string& file) {
  if (text.size() > kMaxText)
    return InvalidModel("the prototxt has ", text.size(), " bytes, which no net has");
  Net net;
  FirstError error(file);
  google::protobuf::TextFormat::Parser parser;
  parser.AllowUnknownField(true);
  parser.AllowUnknownExtension(true);
  parser.SetRecursionLimit(kMaxNesting);
  parser.RecordErrorsTo(&error);
  google::protobuf::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  if (!parser.Parse(&stream, &net))
    return InvalidModel(error.text().empty() ? file + ": this is no prototxt" : error.text());
  RETURN_IF_ERROR(UpgradeLayers(net));
  if (net.layer().empty() && (net.has_net() || net.has_train_net()))
    return InvalidModel("this prototxt describes a solver (of training); give the net's, here '",
                        net.has_net() ? net.net() : net.train_net(), "'");
  if (net.layer().empty() && net.input().empty())
    return InvalidModel("this prototxt describes no net: it has no layer");
  RETURN_IF_ERROR(FilterLayers(net));
  return net;
}

}  // namespace sula::caffe
