// .sula bytes -> Graph. The FlatBuffers verifier makes the tables safe to walk; everything they
// say is checked again here before it is believed.
#include <algorithm>
#include <cstring>

#include "flatbuffers/flatbuffers.h"
#include "format/header.h"
#include "format/model_file.h"
#include "sula_generated.h"

namespace sula {
namespace {

template <class T>
using FbVector = flatbuffers::Vector<T>;
template <class T>
using FbTables = flatbuffers::Vector<flatbuffers::Offset<T>>;

std::string_view View(const flatbuffers::String& s) { return {s.data(), s.size()}; }

// The text cut at the commas outside parentheses.
std::vector<std::string_view> SplitShape(std::string_view text) {
  std::vector<std::string_view> parts;
  if (text.empty()) return parts;
  size_t begin = 0;
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(') ++depth;
    if (text[i] == ')') --depth;
    if (text[i] == ',' && depth == 0) {
      parts.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    }
  }
  parts.push_back(text.substr(begin));
  return parts;
}

// The product of the known sizes times the size of an element, for sizes of any value: an error if
// one is negative or the product (zero sizes counted as 1) is beyond all reason.
Result<uint64_t> CheckedBytes(DType dtype, std::span<const int64_t> dims) {
  if (dims.size() > kMaxRank)
    return Unsupported("a tensor of ", dims.size(), " axes; sula takes up to ", kMaxRank);
  uint64_t bytes = SizeOf(dtype);
  bool zero = false;
  for (int64_t d : dims) {
    if (d < 0) return InvalidModel("negative size in ", ToString(dims));
    zero |= d == 0;
    uint64_t size = std::max<int64_t>(d, 1);
    if (size > kMaxTensorBytes / bytes)
      return InvalidModel("impossibly large sizes ", ToString(dims));
    bytes *= size;
  }
  return zero ? 0 : bytes;
}

class Reader {
 public:
  Reader(std::shared_ptr<const MappedFile> file, std::span<const std::byte> blob,
         Catalogue catalogue, size_t graph_bytes)
      : file_(std::move(file)), blob_(blob), catalogue_(catalogue), budget_(graph_bytes) {}

  Status ReadTensors(const FbTables<fb::Tensor>& tensors);
  Result<Graph> ReadGraph(const fb::Graph& from, int depth);

 private:
  // An honest file tells everything once, so all text and lists together are not larger than the
  // graph part. Keeps a file whose tables share one huge list from being copied without end.
  Status Spend(size_t bytes) {
    if (bytes > budget_) return InvalidModel("damaged: parts of the graph overlap");
    budget_ -= bytes;
    return {};
  }
  Result<std::string> Text(const flatbuffers::String& s) {
    RETURN_IF_ERROR(Spend(s.size()));
    return std::string(View(s));
  }
  template <class T>
  Result<std::vector<T>> List(const FbVector<T>& v) {
    RETURN_IF_ERROR(Spend(v.size() * sizeof(T)));
    // The FlatBuffers verifier sees that the length of a vector is aligned, not that its elements
    // are.
    std::vector<T> list(v.size());
    if (!list.empty()) std::memcpy(list.data(), v.Data(), list.size() * sizeof(T));
    return list;
  }
  Result<std::vector<std::string>> Texts(const FbTables<fb::TextValue>& v) {
    std::vector<std::string> texts;
    for (const fb::TextValue* t : v) {
      ASSIGN_OR_RETURN(std::string text, Text(*t->v()));
      texts.push_back(std::move(text));
    }
    return texts;
  }
  Result<std::shared_ptr<const Tensor>> ReadTensor(const fb::Tensor& from);
  Result<TensorType> ReadType(const fb::Value& from);
  Result<FieldValue> ReadFieldValue(const fb::Field& from);
  Result<Params> ReadParams(const OpDef& op, const fb::Node& from);
  Status ReadValues(const fb::Graph& from, Graph& graph, std::vector<ValueId>& ids);
  Status ReadNode(const fb::Node& from, const fb::Graph& in, Graph& graph,
                  std::vector<ValueId>& ids, int depth);

  std::shared_ptr<const MappedFile> file_;
  std::span<const std::byte> blob_;
  Catalogue catalogue_;
  size_t budget_;
  std::vector<std::shared_ptr<const Tensor>> tensors_;
};

Result<std::shared_ptr<const Tensor>> Reader::ReadTensor(const fb::Tensor& from) {
  ASSIGN_OR_RETURN(DType dtype, ParseDType(View(*from.dtype())));
  ASSIGN_OR_RETURN(Dims dims, List(*from.dims()));
  ASSIGN_OR_RETURN(uint64_t bytes, CheckedBytes(dtype, dims));
  if (bytes != from.size())
    return InvalidModel("damaged: ", from.size(), " bytes for ", Name(dtype), ToString(dims));
  uint64_t room = blob_.size() - kTensorSlack;
  if (from.offset() % kTensorAlignment != 0 || bytes > room || from.offset() > room - bytes)
    return InvalidModel("damaged: ", bytes, " bytes at offset ", from.offset(),
                        " are not within the weights");
  std::span<const std::byte> data = blob_.subspan(from.offset(), bytes);
  if (dtype == DType::kBool &&
      std::any_of(data.begin(), data.end(), [](std::byte b) { return b > std::byte{1}; }))
    return InvalidModel("damaged: a bool constant holds bytes other than 0 and 1");
  return std::make_shared<const Tensor>(Tensor::Borrow(dtype, std::move(dims), data.data(), file_));
}

Status Reader::ReadTensors(const FbTables<fb::Tensor>& tensors) {
  if (blob_.size() < kTensorSlack || reinterpret_cast<uintptr_t>(blob_.data()) % kTensorAlignment)
    return InvalidModel("damaged: no room for weights");
  for (const fb::Tensor* t : tensors) {
    Result<std::shared_ptr<const Tensor>> tensor = ReadTensor(*t);
    if (!tensor) return Status(tensor.error()).AddContext(StrCat("constant ", tensors_.size()));
    tensors_.push_back(std::move(tensor).value());
  }
  return {};
}

Result<TensorType> Reader::ReadType(const fb::Value& from) {
  TensorType type;
  ASSIGN_OR_RETURN(type.dtype, ParseDType(View(*from.dtype())));
  if (!from.shape()) return type;
  RETURN_IF_ERROR(Spend(from.shape()->size()));
  std::vector<Dim> dims;
  Dims known;
  for (std::string_view text : SplitShape(View(*from.shape()))) {
    ASSIGN_OR_RETURN(Dim d, Dim::Parse(text));
    known.push_back(d.TryValue().value_or(1));
    dims.push_back(std::move(d));
  }
  ASSIGN_OR_RETURN([[maybe_unused]] uint64_t bytes, CheckedBytes(type.dtype, known));
  type.shape = Shape(std::move(dims));
  return type;
}

Result<FieldValue> Reader::ReadFieldValue(const fb::Field& from) {
  switch (from.value_type()) {
    case fb::FieldValue::BoolValue: return FieldValue(from.value_as_BoolValue()->v());
    case fb::FieldValue::IntValue: return FieldValue(from.value_as_IntValue()->v());
    case fb::FieldValue::FloatValue: return FieldValue(from.value_as_FloatValue()->v());
    case fb::FieldValue::TextValue: {
      ASSIGN_OR_RETURN(std::string v, Text(*from.value_as_TextValue()->v()));
      return FieldValue(std::move(v));
    }
    case fb::FieldValue::IntList: {
      ASSIGN_OR_RETURN(std::vector<int64_t> v, List(*from.value_as_IntList()->v()));
      return FieldValue(std::move(v));
    }
    case fb::FieldValue::FloatList: {
      ASSIGN_OR_RETURN(std::vector<double> v, List(*from.value_as_FloatList()->v()));
      return FieldValue(std::move(v));
    }
    case fb::FieldValue::TextList: {
      ASSIGN_OR_RETURN(std::vector<std::string> v, Texts(*from.value_as_TextList()->v()));
      return FieldValue(std::move(v));
    }
    default: break;
  }
  return InvalidModel("damaged: a field of unknown kind ", static_cast<int>(from.value_type()));
}

Result<Params> Reader::ReadParams(const OpDef& op, const fb::Node& from) {
  std::vector<std::pair<std::string, FieldValue>> values;
  if (from.fields()) {
    for (const fb::Field* f : *from.fields()) {
      ASSIGN_OR_RETURN(std::string name, Text(*f->name()));
      ASSIGN_OR_RETURN(FieldValue value, ReadFieldValue(*f));
      values.emplace_back(std::move(name), std::move(value));
    }
  }
  if (!op.build_params) {
    if (values.empty()) return op.default_params();
    return UnknownField(values[0].first, op.fields);
  }
  return op.build_params(op.fields, values);
}

// Inputs and constants; ids gets the graph's id of each value of the file that exists now.
Status Reader::ReadValues(const fb::Graph& from, Graph& graph, std::vector<ValueId>& ids) {
  const auto& values = *from.values();
  for (int32_t i : *from.inputs()) {
    if (i < 0 || static_cast<size_t>(i) >= ids.size() || ids[i] != kNoValue ||
        values[i]->constant() >= 0)
      return InvalidModel("damaged: value ", i, " cannot be an input");
    ASSIGN_OR_RETURN(TensorType type, ReadType(*values[i]));
    ASSIGN_OR_RETURN(std::string name, Text(*values[i]->name()));
    ids[i] = graph.AddInput(std::move(name), std::move(type));
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    int32_t constant = values[i]->constant();
    if (constant < 0) continue;
    if (static_cast<size_t>(constant) >= tensors_.size())
      return InvalidModel("damaged: value ", i, " names constant ", constant, " of ",
                          tensors_.size());
    ASSIGN_OR_RETURN(std::string name, Text(*values[i]->name()));
    ASSIGN_OR_RETURN(TensorType type, ReadType(*values[i]));
    const Tensor& tensor = *tensors_[constant];
    if (type.dtype != tensor.dtype() || type.shape != Shape::Of(tensor.dims()))
      return InvalidModel("damaged: constant '", name, "' is declared ", type.ToString(),
                          " and stored as ", Name(tensor.dtype()), ToString(tensor.dims()));
    ids[i] = graph.AddConstant(std::move(name), tensors_[constant]);
  }
  return {};
}

Status Reader::ReadNode(const fb::Node& from, const fb::Graph& in, Graph& graph,
                        std::vector<ValueId>& ids, int depth) {
  std::string_view op_name = View(*from.op());
  const OpDef* op = FindOp(catalogue_, op_name);
  if (!op)
    return Unsupported("operator '", op_name.substr(0, 100),
                       "' is not known to this version of sula");
  ASSIGN_OR_RETURN(Params params, ReadParams(*op, from));
  ASSIGN_OR_RETURN(std::vector<int32_t> from_inputs, List(*from.inputs()));
  ASSIGN_OR_RETURN(std::vector<int32_t> from_outputs, List(*from.outputs()));
  std::vector<ValueId> inputs;
  for (int32_t i : from_inputs) {
    if (i == -1) {
      inputs.push_back(kNoValue);
    } else if (i < 0 || static_cast<size_t>(i) >= ids.size() || ids[i] == kNoValue) {
      return InvalidModel("damaged: reads value ", i, ", which does not exist yet");
    } else {
      inputs.push_back(ids[i]);
    }
  }
  std::vector<std::string> output_names;
  for (int32_t i : from_outputs) {
    if (i == -1) {
      output_names.emplace_back();
      continue;
    }
    if (i < 0 || static_cast<size_t>(i) >= ids.size() || ids[i] != kNoValue ||
        std::count(from_outputs.begin(), from_outputs.end(), i) != 1)
      return InvalidModel("damaged: cannot produce value ", i);
    ASSIGN_OR_RETURN(std::string name, Text(*(*in.values())[i]->name()));
    if (name.empty()) return InvalidModel("damaged: a value has no name");
    output_names.push_back(std::move(name));
  }
  ASSIGN_OR_RETURN(std::string name, Text(*from.name()));
  int num_outputs = static_cast<int>(from_outputs.size());
  NodeId id = graph.AddNode(*op, std::move(params), std::move(inputs), num_outputs, name,
                            std::move(output_names));
  if (graph.node(id).name != name) return InvalidModel("damaged: two nodes are named '", name, "'");
  for (int k = 0; k < num_outputs; ++k) {
    if (from_outputs[k] == -1) continue;
    ValueId v = graph.node(id).outputs[k];
    ids[from_outputs[k]] = v;
    ASSIGN_OR_RETURN(graph.value(v).type, ReadType(*(*in.values())[from_outputs[k]]));
  }
  if (from.subgraphs()) {
    for (const fb::Graph* g : *from.subgraphs()) {
      ASSIGN_OR_RETURN(Graph subgraph, ReadGraph(*g, depth + 1));
      graph.node(id).subgraphs.push_back(std::move(subgraph));
    }
  }
  return {};
}

Result<Graph> Reader::ReadGraph(const fb::Graph& from, int depth) {
  if (depth > kMaxNesting)
    return InvalidModel("damaged: subgraphs nested more than ", kMaxNesting, " deep");
  Graph graph;
  ASSIGN_OR_RETURN(graph.name, Text(*from.name()));
  if (from.metadata()) {
    for (const fb::Property* p : *from.metadata()) {
      ASSIGN_OR_RETURN(std::string key, Text(*p->key()));
      ASSIGN_OR_RETURN(graph.metadata[key], Text(*p->value()));
    }
  }
  if (from.captures()) {
    ASSIGN_OR_RETURN(graph.captures, Texts(*from.captures()));
  }
  std::vector<ValueId> ids(from.values()->size(), kNoValue);
  RETURN_IF_ERROR(ReadValues(from, graph, ids));
  for (const fb::Node* n : *from.nodes()) {
    if (Status s = ReadNode(*n, from, graph, ids, depth); !s.ok())
      return std::move(s).AddContext(StrCat("node '", View(*n->name()).substr(0, 200), "'"));
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    std::string_view name = View(*(*from.values())[i]->name());
    if (ids[i] == kNoValue)
      return InvalidModel("damaged: nothing produces value '", name.substr(0, 200), "'");
    if (graph.value(ids[i]).name != name)
      return InvalidModel("damaged: two values are named '", name.substr(0, 200), "'");
  }
  for (int32_t i : *from.outputs()) {
    if (i < 0 || static_cast<size_t>(i) >= ids.size())
      return InvalidModel("damaged: output ", i, " of ", ids.size(), " values");
    graph.AddOutput(ids[i]);
  }
  return graph;
}

// Infers all types anew; the element types must be those that the file tells.
Status CheckTypes(Graph& graph) {
  std::vector<DType> told;
  for (ValueId v = 0; v < graph.value_slots(); ++v) told.push_back(graph.value(v).type.dtype);
  RETURN_IF_ERROR(InferShapes(graph));
  for (ValueId v = 0; v < graph.value_slots(); ++v)
    if (graph.value(v).type.dtype != told[v])
      return InvalidModel("value '", graph.value(v).name, "' is declared ", Name(told[v]),
                          ", but its node makes ", Name(graph.value(v).type.dtype));
  return {};
}

Result<Graph> Read(std::shared_ptr<const MappedFile> file, Catalogue catalogue, bool check_hash) {
  std::span<const std::byte> bytes = file->bytes();
  ASSIGN_OR_RETURN(FileHeader header, ParseHeader(bytes));
  std::span<const std::byte> graph_bytes = bytes.subspan(header.graph_offset, header.graph_bytes);
  std::span<const std::byte> blob = bytes.subspan(header.blob_offset, header.blob_bytes);
  if (check_hash && HashFile(header, graph_bytes, blob) != header.hash)
    return InvalidModel("damaged: the content does not match its hash. Convert the model again");

  // An honest table takes 4 bytes at least, so this bounds the work by the size of the file.
  flatbuffers::Verifier::Options limits;
  limits.max_tables = static_cast<flatbuffers::uoffset_t>(graph_bytes.size() / 4);
  if (graph_bytes.size() >= FLATBUFFERS_MAX_BUFFER_SIZE)
    return InvalidModel("damaged: a graph of ", graph_bytes.size(), " bytes");
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t*>(graph_bytes.data()),
                                 graph_bytes.size(), limits);
  if (!fb::VerifyModelBuffer(verifier)) return InvalidModel("damaged: the graph is inconsistent");
  const fb::Model& model = *fb::GetModel(graph_bytes.data());

  Reader reader(std::move(file), blob, catalogue, graph_bytes.size());
  RETURN_IF_ERROR(reader.ReadTensors(*model.tensors()));
  ASSIGN_OR_RETURN(Graph graph, reader.ReadGraph(*model.graph(), 0));
  RETURN_IF_ERROR(Verify(graph));
  RETURN_IF_ERROR(CheckTypes(graph));
  return graph;
}

}  // namespace

Result<Graph> ReadModelFile(std::shared_ptr<const MappedFile> file, Catalogue catalogue,
                            bool check_hash) {
  std::string path = file->path();
  Result<Graph> graph = Read(std::move(file), catalogue, check_hash);
  if (!graph) return Status(graph.error()).AddContext(StrCat("model '", path, "'"));
  return graph;
}

}  // namespace sula
