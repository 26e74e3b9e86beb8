// Builds small ONNX models for the tests of the frontend, and runs them with the operators'
// reference meaning.
#pragma once

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/status.h"
#include "frontends/onnx/onnx.h"
#include "gtest/gtest.h"
#include "onnx_subset.pb.h"
#include "ops/catalogue.h"
#include "tensor/tensor.h"

namespace sula::onnx {

// A folder of its own for each process, removed at its end.
inline const std::filesystem::path& TestFolder() {
  struct Folder {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / StrCat("sula_onnx_test_", getpid());
    Folder() { std::filesystem::create_directories(path); }
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  };
  static const Folder folder;
  return folder.path;
}

inline std::string WriteTestFile(const std::string& name, const std::string& bytes) {
  std::string path = (TestFolder() / name).string();
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

inline int32_t OnnxType(DType t) {
  switch (t) {
    case DType::kFloat32: return TensorProto::FLOAT;
    case DType::kFloat16: return TensorProto::FLOAT16;
    case DType::kBFloat16: return TensorProto::BFLOAT16;
    case DType::kFloat64: return TensorProto::DOUBLE;
    case DType::kInt8: return TensorProto::INT8;
    case DType::kInt16: return TensorProto::INT16;
    case DType::kInt32: return TensorProto::INT32;
    case DType::kInt64: return TensorProto::INT64;
    case DType::kUInt8: return TensorProto::UINT8;
    case DType::kBool: break;
  }
  return TensorProto::BOOL;
}

inline TensorProto ToProto(const Tensor& t, const std::string& name = "") {
  TensorProto p;
  p.set_name(name);
  p.set_data_type(OnnxType(t.dtype()));
  for (int64_t d : t.dims()) p.add_dims(d);
  p.set_raw_data(t.raw(), t.bytes());
  return p;
}

// ---- attributes
inline AttributeProto Named(const std::string& name, AttributeProto::Type type) {
  AttributeProto a;
  a.set_name(name);
  a.set_type(type);
  return a;
}
inline AttributeProto Attr(const std::string& name, int64_t v) {
  AttributeProto a = Named(name, AttributeProto::INT);
  a.set_i(v);
  return a;
}
inline AttributeProto Attr(const std::string& name, int v) { return Attr(name, int64_t{v}); }
inline AttributeProto Attr(const std::string& name, float v) {
  AttributeProto a = Named(name, AttributeProto::FLOAT);
  a.set_f(v);
  return a;
}
inline AttributeProto Attr(const std::string& name, const char* v) {
  AttributeProto a = Named(name, AttributeProto::STRING);
  a.set_s(v);
  return a;
}
inline AttributeProto Attr(const std::string& name, const std::vector<int64_t>& v) {
  AttributeProto a = Named(name, AttributeProto::INTS);
  a.mutable_ints()->Add(v.begin(), v.end());
  return a;
}
inline AttributeProto Attr(const std::string& name, const std::vector<float>& v) {
  AttributeProto a = Named(name, AttributeProto::FLOATS);
  a.mutable_floats()->Add(v.begin(), v.end());
  return a;
}
inline AttributeProto Attr(const std::string& name, const Tensor& t) {
  AttributeProto a = Named(name, AttributeProto::TENSOR);
  *a.mutable_t() = ToProto(t);
  return a;
}
inline AttributeProto AttrRef(const std::string& name, const std::string& of,
                              AttributeProto::Type type) {
  AttributeProto a = Named(name, type);
  a.set_ref_attr_name(of);
  return a;
}

using Names = std::vector<std::string>;
using Attrs = std::vector<AttributeProto>;
using DimSpec = std::variant<int64_t, std::string>;  // a number, or a dim_param

inline NodeProto MakeNode(const std::string& op, const Names& inputs, const Names& outputs,
                          const Attrs& attributes = {}, const std::string& name = "") {
  NodeProto n;
  n.set_op_type(op);
  n.set_name(name);
  for (const std::string& i : inputs) n.add_input(i);
  for (const std::string& o : outputs) n.add_output(o);
  for (const AttributeProto& a : attributes) *n.add_attribute() = a;
  return n;
}

class Model {
 public:
  explicit Model(int64_t opset = 17) {
    proto.set_ir_version(8);
    proto.add_opset_import()->set_version(opset);
    proto.mutable_graph()->set_name("test");
  }

  Model& Input(const std::string& name, DType type, const std::vector<DimSpec>& dims) {
    Declare(graph().add_input(), name, OnnxType(type), dims);
    return *this;
  }
  Model& Output(const std::string& name) {
    graph().add_output()->set_name(name);
    return *this;
  }
  Model& Init(const std::string& name, const Tensor& t) {
    *graph().add_initializer() = ToProto(t, name);
    return *this;
  }
  Model& Node(const std::string& op, const Names& inputs, const Names& outputs,
              const Attrs& attributes = {}, const std::string& name = "") {
    *graph().add_node() = MakeNode(op, inputs, outputs, attributes, name);
    return *this;
  }

  static void Declare(ValueInfoProto* info, const std::string& name, int32_t type,
                      const std::vector<DimSpec>& dims) {
    info->set_name(name);
    auto* tensor = info->mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    tensor->mutable_shape();
    for (const DimSpec& d : dims) {
      auto* dim = tensor->mutable_shape()->add_dim();
      if (const auto* size = std::get_if<int64_t>(&d)) {
        dim->set_dim_value(*size);
      } else {
        dim->set_dim_param(std::get<std::string>(d));
      }
    }
  }

  GraphProto& graph() { return *proto.mutable_graph(); }
  std::string Bytes() const { return proto.SerializeAsString(); }
  Result<Graph> Import(const OnnxOptions& options = {}) const {
    return ImportOnnx(WriteTestFile("model.onnx", Bytes()), options);
  }

  ModelProto proto;
};

// A model of one node whose inputs are graph inputs (or initializers, where `constant` says so);
// absent inputs are tensors without storage. Returns the outputs of its evaluation.
struct OneNode {
  std::string op;
  int64_t opset = 17;
  std::vector<Tensor> inputs;
  Attrs attributes;
  int outputs = 1;
  std::vector<int> constant;  // indices of inputs that are initializers

  Model Build() const {
    Model m(opset);
    Names in, out;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Tensor& t = inputs[i];
      if (t.empty() && t.dims() == Dims{0}) {
        in.push_back("");
        continue;
      }
      in.push_back(StrCat("in", i));
      if (IsConstant(i)) {
        m.Init(in.back(), t);
      } else {
        m.Input(in.back(), t.dtype(), std::vector<DimSpec>(t.dims().begin(), t.dims().end()));
      }
    }
    for (int i = 0; i < outputs; ++i) out.push_back(StrCat("out", i));
    m.Node(op, in, out, attributes, "node");
    for (const std::string& o : out) m.Output(o);
    return m;
  }
  bool IsConstant(size_t i) const {
    for (int c : constant)
      if (c == static_cast<int>(i)) return true;
    return false;
  }
  Result<std::vector<Tensor>> Run() const {
    ASSIGN_OR_RETURN(Graph graph, Build().Import());
    std::vector<Tensor> feeds;
    for (size_t i = 0; i < inputs.size(); ++i)
      if (!IsConstant(i) && !(inputs[i].empty() && inputs[i].dims() == Dims{0}))
        feeds.push_back(inputs[i]);
    return EvaluateGraph(graph, feeds);
  }
};

// ---- tensors
template <class T = float>
Tensor Make(Dims dims, std::initializer_list<std::type_identity_t<T>> values) {
  return Tensor::From<T>(std::move(dims), values);
}
inline Tensor Ints(std::initializer_list<int64_t> values) {
  return Tensor::FromInts(std::vector<int64_t>(values));
}
inline Tensor Absent() { return Tensor(); }

// Same type and sizes, values within `relative` of the expected (0: equal).
inline void ExpectTensor(const Tensor& got, const Tensor& want, double relative = 0) {
  EXPECT_EQ(Name(got.dtype()), Name(want.dtype()));
  ASSERT_EQ(got.dims(), want.dims());
  for (int64_t i = 0; i < want.num_elements(); ++i) {
    double w = want.AsDouble(i), g = got.AsDouble(i);
    EXPECT_LE(std::abs(g - w), relative * std::abs(w))
        << "element " << i << ": " << g << ", expected " << w;
  }
}

inline void ExpectRun(const OneNode& node, const std::vector<Tensor>& want, double relative = 0) {
  SCOPED_TRACE(StrCat(node.op, " of opset ", node.opset));
  Result<std::vector<Tensor>> got = node.Run();
  ASSERT_TRUE(got) << got.error().ToString();
  ASSERT_EQ(got->size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) ExpectTensor((*got)[i], want[i], relative);
}

// The import fails with this code, and the text of the error holds all of these.
template <class... Texts>
void ExpectError(const Result<Graph>& graph, Code code, const Texts&... texts) {
  ASSERT_FALSE(graph.has_value());
  EXPECT_EQ(CodeName(graph.error().code()), CodeName(code)) << graph.error().ToString();
  for (std::string_view text : {std::string_view(texts)...})
    EXPECT_NE(graph.error().ToString().find(text), std::string::npos)
        << "no '" << text << "' in: " << graph.error().ToString();
}

}  // namespace sula::onnx
