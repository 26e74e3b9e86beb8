// Tensors of every element type in every storage form, and external data.
#include <filesystem>
#include <fstream>

#include "base/half.h"
#include "frontends/onnx/tensor_reader.h"
#include "onnx_builder.h"

namespace sula::onnx {
namespace {

// The constant that a model with this initializer gives.
Result<Tensor> Load(const TensorProto& t, const std::string& file = "tensor.onnx") {
  Model m;
  *m.graph().add_initializer() = t;
  m.graph().mutable_initializer(0)->set_name("t");
  m.Output("t");
  ASSIGN_OR_RETURN(Graph g, ImportOnnx(WriteTestFile(file, m.Bytes())));
  ASSIGN_OR_RETURN(auto out, EvaluateGraph(g, {}));
  return out[0];
}

void ExpectTensorError(const TensorProto& t, Code code, std::string_view text) {
  Result<Tensor> r = Load(t);
  ASSERT_FALSE(r.has_value());
  EXPECT_EQ(CodeName(r.error().code()), CodeName(code)) << r.error().ToString();
  EXPECT_NE(r.error().ToString().find(text), std::string::npos) << r.error().ToString();
  EXPECT_NE(r.error().ToString().find("'t'"), std::string::npos) << r.error().ToString();
}

TensorProto Typed(DType type, std::vector<int64_t> dims) {
  TensorProto p;
  p.set_data_type(OnnxType(type));
  for (int64_t d : dims) p.add_dims(d);
  return p;
}

TEST(OnnxTensor, RawDataOfEveryType) {
  const Tensor all[] = {
      Make<float>({2}, {1.5f, -2}),         Make<Half>({2}, {Half(1.5f), Half(-2.f)}),
      Make<BFloat16>({1}, {BFloat16(3.f)}), Make<double>({2, 1}, {1e300, -0.0}),
      Make<int8_t>({3}, {-128, 0, 127}),    Make<int16_t>({2}, {-32768, 32767}),
      Make<int32_t>({1, 2}, {-1, 1 << 30}), Make<int64_t>({}, {int64_t{1} << 60}),
      Make<uint8_t>({2}, {0, 255}),         Make<bool>({2}, {true, false}),
      Tensor(DType::kFloat32, {0, 3}),
  };
  for (const Tensor& want : all) {
    auto got = Load(ToProto(want));
    ASSERT_TRUE(got) << got.error().ToString();
    EXPECT_EQ(*got, want) << Name(want.dtype());
  }
}

TEST(OnnxTensor, TypedDataOfEveryType) {
  auto expect = [](const TensorProto& p, const Tensor& want) {
    auto got = Load(p);
    ASSERT_TRUE(got) << got.error().ToString();
    EXPECT_EQ(*got, want) << Name(want.dtype());
  };
  TensorProto p = Typed(DType::kFloat32, {2});
  p.add_float_data(1.5f), p.add_float_data(-2);
  expect(p, Make<float>({2}, {1.5f, -2}));
  p = Typed(DType::kFloat64, {1});
  p.add_double_data(1e300);
  expect(p, Make<double>({1}, {1e300}));
  p = Typed(DType::kInt64, {});
  p.add_int64_data(int64_t{-1} << 60);
  expect(p, Make<int64_t>({}, {int64_t{-1} << 60}));
  p = Typed(DType::kInt32, {1});
  p.add_int32_data(-7);
  expect(p, Make<int32_t>({1}, {-7}));
  p = Typed(DType::kInt16, {1});
  p.add_int32_data(-7);
  expect(p, Make<int16_t>({1}, {-7}));
  p = Typed(DType::kInt8, {1});
  p.add_int32_data(-7);
  expect(p, Make<int8_t>({1}, {-7}));
  p = Typed(DType::kUInt8, {1});
  p.add_int32_data(200);
  expect(p, Make<uint8_t>({1}, {200}));
  p = Typed(DType::kBool, {2});
  p.add_int32_data(2), p.add_int32_data(0);
  expect(p, Make<bool>({2}, {true, false}));
  p = Typed(DType::kFloat16, {1});
  p.add_int32_data(0xc000);  // the bits of -2
  expect(p, Make<Half>({1}, {Half(-2.f)}));
  p = Typed(DType::kBFloat16, {1});
  p.add_int32_data(0xc000);
  expect(p, Make<BFloat16>({1}, {BFloat16(-2.f)}));
  expect(Typed(DType::kFloat32, {0}), Tensor(DType::kFloat32, {0}));
}

TEST(OnnxTensor, BytesOtherThanOneAreTrueToo) {
  TensorProto p = Typed(DType::kBool, {3});
  p.set_raw_data(std::string("\x00\x02\xff", 3));
  auto got = Load(p);
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, Make<bool>({3}, {false, true, true}));
}

TEST(OnnxTensor, WrongSizes) {
  TensorProto p = Typed(DType::kFloat32, {3});
  ExpectTensorError(p, Code::kInvalidModel, "3");
  p.add_float_data(1);
  ExpectTensorError(p, Code::kInvalidModel, "float_data has 1 elements");
  p.set_raw_data(std::string(13, '\0'));
  ExpectTensorError(p, Code::kInvalidModel, "13 bytes");
  ExpectTensorError(Typed(DType::kFloat32, {-1}), Code::kInvalidModel, "negative");
  int64_t big = int64_t{1} << 40;
  ExpectTensorError(Typed(DType::kFloat32, {big, big, 0}), Code::kInvalidModel, "larger");
  ExpectTensorError(Typed(DType::kFloat32, {big, big}), Code::kInvalidModel, "larger");
}

TEST(OnnxTensor, OtherTypes) {
  TensorProto p = Typed(DType::kFloat32, {1});
  for (int type : {TensorProto::UINT16, TensorProto::UINT64, TensorProto::STRING,
                   TensorProto::COMPLEX64, TensorProto::FLOAT8E5M2, TensorProto::INT4}) {
    p.set_data_type(type);
    ExpectTensorError(p, Code::kUnsupported, TypeName(type));
  }
  for (int type : {0, -1, 99}) {
    p.set_data_type(type);
    ExpectTensorError(p, Code::kInvalidModel, StrCat(type));
  }
}

TEST(OnnxTensor, UnusedInitializersAreNotRead) {
  Model m;
  m.Input("x", DType::kFloat32, {1}).Node("Neg", {"x"}, {"y"}).Output("y");
  m.Init("unused", Make({1}, {1}));
  m.graph().mutable_initializer(0)->set_data_type(TensorProto::STRING);
  EXPECT_TRUE(m.Import().has_value());
}

// ---- external data

TensorProto External(const std::string& location, int64_t elements,
                     std::vector<std::pair<std::string, std::string>> more = {}) {
  TensorProto p = Typed(DType::kFloat32, {elements});
  p.set_data_location(TensorProto::EXTERNAL);
  more.insert(more.begin(), {"location", location});
  for (const auto& [key, value] : more) {
    p.add_external_data()->set_key(key);
    p.mutable_external_data()->rbegin()->set_value(value);
  }
  return p;
}

class OnnxExternalData : public testing::Test {
 protected:
  void SetUp() override {
    float values[] = {1, 2, 3, 4};
    WriteTestFile("weights.bin", std::string(reinterpret_cast<char*>(values), sizeof(values)));
  }
};

TEST_F(OnnxExternalData, IsFoundBesideTheModel) {
  auto all = Load(External("weights.bin", 4));
  ASSERT_TRUE(all) << all.error().ToString();
  EXPECT_EQ(*all, Make({4}, {1, 2, 3, 4}));
  auto part = Load(External("weights.bin", 2, {{"offset", "4"}, {"length", "8"}}));
  ASSERT_TRUE(part) << part.error().ToString();
  EXPECT_EQ(*part, Make({2}, {2, 3}));
  std::filesystem::create_directory(TestFolder() / "sub");
  WriteTestFile("sub/w", std::string("\0\0\0\x40\0\0", 6));
  auto odd = Load(External("./sub/w", 1));
  ASSERT_TRUE(odd) << odd.error().ToString();
  EXPECT_EQ(*odd, Make({1}, {2}));
}

TEST_F(OnnxExternalData, UnalignedOffsetsAreCopied) {
  WriteTestFile("odd.bin", std::string("\x07\0\0\0\x40", 5));
  auto t = Load(External("odd.bin", 1, {{"offset", "1"}}));
  ASSERT_TRUE(t) << t.error().ToString();
  EXPECT_EQ(*t, Make({1}, {2}));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(t->raw()) % 4, 0u);
}

TEST_F(OnnxExternalData, LengthsAreChecked) {
  ExpectTensorError(External("weights.bin", 5), Code::kInvalidModel, "16 bytes");
  ExpectTensorError(External("weights.bin", 4, {{"offset", "4"}}), Code::kInvalidModel, "offset 4");
  ExpectTensorError(External("weights.bin", 4, {{"length", "8"}}), Code::kInvalidModel, "length 8");
  ExpectTensorError(External("weights.bin", 1, {{"offset", "18446744073709551615"}}),
                    Code::kInvalidModel, "offset");
  for (const char* bad : {"-1", "x", "", "99999999999999999999999", "1 "})
    ExpectTensorError(External("weights.bin", 1, {{"offset", bad}}), Code::kInvalidModel,
                      "not a number");
}

TEST_F(OnnxExternalData, StaysInTheModelsFolder) {
  ExpectTensorError(External("/etc/passwd", 1), Code::kInvalidModel, "/etc/passwd");
  ExpectTensorError(External("../weights.bin", 1), Code::kInvalidModel, "leaves");
  ExpectTensorError(External("sub/../../weights.bin", 1), Code::kInvalidModel, "leaves");
  ExpectTensorError(External("", 1), Code::kInvalidModel, "location");
  ExpectTensorError(External(std::string("w\0x", 3), 1), Code::kInvalidModel, "location");
  ExpectTensorError(External("nothing.bin", 1), Code::kNotFound, "nothing.bin");
  std::filesystem::path link = TestFolder() / "link.bin";
  std::filesystem::remove(link);
  std::filesystem::create_symlink("/etc/hostname", link);
  ExpectTensorError(External("link.bin", 1), Code::kInvalidModel, "symbolic link");
  std::filesystem::create_directory(TestFolder() / "folder");
  EXPECT_FALSE(Load(External("folder", 1)).has_value());
}

}  // namespace
}  // namespace sula::onnx
