// Graph -> .sula bytes.
#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "flatbuffers/flatbuffers.h"
#include "format/hash.h"
#include "format/header.h"
#include "format/model_file.h"
#include "sula_generated.h"

namespace sula {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

// Lays constants into the blob, equal bytes once.
class BlobWriter {
 public:
  // The place of these bytes, relative to the blob.
  uint64_t Add(std::span<const std::byte> bytes) {
    std::vector<const Part*>& same_hash = by_hash_[HashBytes(bytes)];
    for (const Part* part : same_hash)
      if (part->bytes.size() == bytes.size() &&
          std::equal(bytes.begin(), bytes.end(), part->bytes.begin()))
        return part->offset;
    parts_.push_back(std::make_unique<Part>(Part{bytes, end_}));
    same_hash.push_back(parts_.back().get());
    end_ = (end_ + bytes.size() + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
    return parts_.back()->offset;
  }

  // The blob in pieces: tensors, zeros between and kTensorSlack behind them.
  std::vector<std::span<const std::byte>> Pieces() const {
    std::vector<std::span<const std::byte>> pieces;
    uint64_t at = 0;
    for (const auto& part : parts_) {
      pieces.push_back(std::span(kZeros).first(part->offset - at));
      pieces.push_back(part->bytes);
      at = part->offset + part->bytes.size();
    }
    pieces.push_back(std::span(kZeros).first(end_ - at));
    pieces.push_back(std::span(kZeros).first(kTensorSlack));
    return pieces;
  }
  uint64_t bytes() const { return end_ + kTensorSlack; }

 private:
  struct Part {
    std::span<const std::byte> bytes;  // of the graph's tensor, which outlives the writer
    uint64_t offset;
  };
  static constexpr std::array<std::byte, 64> kZeros{};
  static_assert(sizeof(kZeros) >= kTensorAlignment && sizeof(kZeros) >= kTensorSlack);
  std::vector<std::unique_ptr<Part>> parts_;
  std::unordered_map<uint64_t, std::vector<const Part*>> by_hash_;
  uint64_t end_ = 0;
};

class GraphWriter {
 public:
  Result<Offset<fb::Model>> Write(const Graph& graph) {
    ASSIGN_OR_RETURN(Offset<fb::Graph> root, WriteGraph(graph, 0));
    return fb::CreateModel(fbb, root, fbb.CreateVector(tensors_));
  }

  // The graph's part of the file, once `fbb` is finished.
  std::span<const std::byte> graph_bytes() const {
    return std::as_bytes(std::span(fbb.GetBufferPointer(), fbb.GetSize()));
  }

  FlatBufferBuilder fbb;
  BlobWriter blob;

 private:
  Result<Offset<fb::Graph>> WriteGraph(const Graph& graph, int depth);
  Result<Offset<fb::Node>> WriteNode(const Node& node, const std::vector<int32_t>& index,
                                     int depth);
  Offset<fb::Value> WriteValue(const Value& value);
  Offset<fb::Field> WriteField(std::string_view name, const FieldValue& value);
  Offset<flatbuffers::String> Text(std::string_view s) {
    return fbb.CreateString(s.data(), s.size());
  }
  Offset<flatbuffers::Vector<Offset<fb::TextValue>>> Texts(const std::vector<std::string>& texts) {
    std::vector<Offset<fb::TextValue>> v;
    for (const std::string& s : texts) v.push_back(fb::CreateTextValue(fbb, Text(s)));
    return fbb.CreateVector(v);
  }

  std::vector<Offset<fb::Tensor>> tensors_;
  std::unordered_map<const Tensor*, int32_t> tensor_index_;
};

// The sizes with commas between them.
std::string ShapeText(const Shape& shape) {
  std::string text;
  for (const Dim& d : shape) text += (text.empty() ? "" : ",") + d.ToString();
  return text;
}

Offset<fb::Value> GraphWriter::WriteValue(const Value& value) {
  int32_t constant = -1;
  if (const Tensor* t = value.constant.get()) {
    auto [it, is_new] = tensor_index_.emplace(t, static_cast<int32_t>(tensors_.size()));
    constant = it->second;
    if (is_new) {
      uint64_t offset = blob.Add({t->raw(), t->bytes()});
      tensors_.push_back(fb::CreateTensor(fbb, Text(Name(t->dtype())), fbb.CreateVector(t->dims()),
                                          offset, t->bytes()));
    }
  }
  Offset<flatbuffers::String> shape =
      value.type.shape ? Text(ShapeText(*value.type.shape)) : Offset<flatbuffers::String>();
  return fb::CreateValue(fbb, Text(value.name), Text(Name(value.type.dtype)), shape, constant);
}

Offset<fb::Field> GraphWriter::WriteField(std::string_view name, const FieldValue& value) {
  fb::FieldValue kind = fb::FieldValue::NONE;
  auto as = [&]<class T>(fb::FieldValue k, Offset<T> offset) {
    kind = k;
    return offset.Union();
  };
  Offset<void> stored = std::visit(
      [&]<class T>(const T& v) -> Offset<void> {
        if constexpr (std::is_same_v<T, bool>)
          return as(fb::FieldValue::BoolValue, fb::CreateBoolValue(fbb, v));
        else if constexpr (std::is_same_v<T, int64_t>)
          return as(fb::FieldValue::IntValue, fb::CreateIntValue(fbb, v));
        else if constexpr (std::is_same_v<T, double>)
          return as(fb::FieldValue::FloatValue, fb::CreateFloatValue(fbb, v));
        else if constexpr (std::is_same_v<T, std::string>)
          return as(fb::FieldValue::TextValue, fb::CreateTextValue(fbb, Text(v)));
        else if constexpr (std::is_same_v<T, std::vector<int64_t>>)
          return as(fb::FieldValue::IntList, fb::CreateIntList(fbb, fbb.CreateVector(v)));
        else if constexpr (std::is_same_v<T, std::vector<double>>)
          return as(fb::FieldValue::FloatList, fb::CreateFloatList(fbb, fbb.CreateVector(v)));
        else
          return as(fb::FieldValue::TextList, fb::CreateTextList(fbb, Texts(v)));
      },
      value);
  return fb::CreateField(fbb, Text(name), kind, stored);
}

Result<Offset<fb::Node>> GraphWriter::WriteNode(const Node& node, const std::vector<int32_t>& index,
                                                int depth) {
  std::vector<Offset<fb::Field>> fields;
  Params defaults = node.op->default_params();
  for (const Field& f : node.op->fields) {
    FieldValue value = Field::Get(f, node.params);
    if (value != Field::Get(f, defaults)) fields.push_back(WriteField(f.name, value));
  }
  std::vector<Offset<fb::Graph>> subgraphs;
  for (const Graph& g : node.subgraphs) {
    ASSIGN_OR_RETURN(Offset<fb::Graph> subgraph, WriteGraph(g, depth + 1));
    subgraphs.push_back(subgraph);
  }
  auto indices = [&](const std::vector<ValueId>& values) {
    std::vector<int32_t> v;
    for (ValueId id : values) v.push_back(id == kNoValue ? -1 : index[id]);
    return fbb.CreateVector(v);
  };
  return fb::CreateNode(fbb, Text(node.op->name), Text(node.name), indices(node.inputs),
                        indices(node.outputs), fbb.CreateVector(fields),
                        fbb.CreateVector(subgraphs));
}

Result<Offset<fb::Graph>> GraphWriter::WriteGraph(const Graph& graph, int depth) {
  if (depth > kMaxNesting)
    return Unsupported("subgraphs nested more than ", kMaxNesting, " deep (graph '", graph.name,
                       "')");
  // Only what the graph still uses is written, values numbered anew.
  std::vector<NodeId> order = graph.TopologicalOrder();
  std::vector<int32_t> index(graph.value_slots(), -1);
  std::vector<Offset<fb::Value>> values;
  auto use = [&](ValueId v) {
    if (v == kNoValue || index[v] >= 0) return;
    index[v] = static_cast<int32_t>(values.size());
    values.push_back(WriteValue(graph.value(v)));
  };
  for (ValueId v : graph.inputs()) use(v);
  for (NodeId n : order) {
    for (ValueId v : graph.node(n).inputs) use(v);
    for (ValueId v : graph.node(n).outputs) use(v);
  }
  for (ValueId v : graph.outputs()) use(v);

  std::vector<Offset<fb::Node>> nodes;
  for (NodeId n : order) {
    ASSIGN_OR_RETURN(Offset<fb::Node> node, WriteNode(graph.node(n), index, depth));
    nodes.push_back(node);
  }
  std::vector<Offset<fb::Property>> metadata;
  for (const auto& [key, value] : graph.metadata)
    metadata.push_back(fb::CreateProperty(fbb, Text(key), Text(value)));
  std::vector<int32_t> inputs, outputs;
  for (ValueId v : graph.inputs()) inputs.push_back(index[v]);
  for (ValueId v : graph.outputs()) outputs.push_back(index[v]);
  return fb::CreateGraph(fbb, Text(graph.name), fbb.CreateVector(metadata),
                         fbb.CreateVector(values), fbb.CreateVector(nodes),
                         fbb.CreateVector(inputs), fbb.CreateVector(outputs),
                         Texts(graph.captures));
}

// Writes the graph into memory and fills the header, hash included.
Status WriteParts(const Graph& graph, GraphWriter& writer, FileHeader& header) {
  RETURN_IF_ERROR(Verify(graph));
  ASSIGN_OR_RETURN(Offset<fb::Model> root, writer.Write(graph));
  writer.fbb.Finish(root);
  const std::span<const std::byte> graph_bytes = writer.graph_bytes();
  header = {.magic = kMagic,
            .version = kFormatVersion,
            .header_bytes = sizeof(FileHeader),
            .graph_offset = sizeof(FileHeader),
            .graph_bytes = graph_bytes.size(),
            .blob_offset = 0,
            .blob_bytes = writer.blob.bytes(),
            .hash = 0};
  const uint64_t graph_end = header.graph_offset + header.graph_bytes;
  header.blob_offset = (graph_end + kPage - 1) / kPage * kPage;
  Xxh64 hash;
  hash.Update(std::as_bytes(std::span(&header, 1)));
  hash.Update(graph_bytes);
  for (std::span<const std::byte> piece : writer.blob.Pieces()) hash.Update(piece);
  header.hash = hash.Digest();
  return {};
}

}  // namespace

Status WriteModelFile(const Graph& graph, const std::string& path) {
  GraphWriter writer;
  FileHeader header;
  RETURN_IF_ERROR(WriteParts(graph, writer, header));
  const std::vector<std::byte> gap(header.blob_offset - header.graph_offset - header.graph_bytes);
  std::vector<std::span<const std::byte>> parts = {std::as_bytes(std::span(&header, 1)),
                                                   writer.graph_bytes(), gap};
  const std::vector<std::span<const std::byte>> pieces = writer.blob.Pieces();
  parts.insert(parts.end(), pieces.begin(), pieces.end());
  return WriteFileAtomically(path, parts);
}

Result<uint64_t> HashGraph(const Graph& graph) {
  GraphWriter writer;
  FileHeader header;
  RETURN_IF_ERROR(WriteParts(graph, writer, header));
  return header.hash;
}

}  // namespace sula
