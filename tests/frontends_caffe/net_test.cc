// Nets as wholes: forms of files, inputs, phases, blobs in place, outputs, refusals.
#include "nets.h"

namespace sula::caffe {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Dims SizesOf(const Graph& graph, const std::string& name) {
  auto v = graph.FindValue(name);
  EXPECT_TRUE(v) << name;
  return v ? graph.value(*v).type.shape->Concrete() : Dims();
}

TEST(Net, LegacyInputDims) {
  Graph g = Import(R"(name: "old" input: "a" input: "b"
    input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4
    input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4
    layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" })");
  EXPECT_EQ(g.name, "old");
  EXPECT_EQ(g.metadata["format"], "caffe");
  ASSERT_EQ(g.inputs().size(), 2u);
  EXPECT_EQ(g.value(g.inputs()[0]).name, "a");
  EXPECT_EQ(g.value(g.inputs()[1]).name, "b");
  EXPECT_EQ(SizesOf(g, "sum"), (Dims{1, 2, 3, 4}));
}

TEST(Net, LegacyInputShapes) {
  Graph g = Import(R"(input: "a" input_shape { dim: 5 dim: 7 }
    layer { name: "r" type: "ReLU" bottom: "a" top: "b" })");
  EXPECT_EQ(SizesOf(g, "b"), (Dims{5, 7}));
}

TEST(Net, LegacyInputsThatDontFit) {
  EXPECT_THAT(Error("input: 'a' input_dim: 1 input_dim: 2"), HasSubstr("needs four"));
  EXPECT_THAT(Error("input: 'a' input: 'b' input_shape { dim: 1 }"),
              HasSubstr("2 inputs and 1 values of input_shape"));
  EXPECT_THAT(Error("input: 'a' layer { name: 'r' type: 'ReLU' bottom: 'a' top: 'b' }"),
              HasSubstr("--input-shape a="));
}

TEST(Net, InputShapesMayBeReplaced) {
  CaffeOptions options;
  options.input_shapes["x0"] = Shape{Dim::Symbol("batch"), 3, 6, 6};
  Graph g = Import(OneLayer("ReLU", "", {{1, 3, 4, 4}}), {}, options);
  EXPECT_EQ(g.value(g.outputs()[0]).type.ToString(), "float32[batch,3,6,6]");
  options.input_shapes["x0"] = Shape{1, 3};
  EXPECT_THAT(TryImport(OneLayer("ReLU", "", {{1, 3, 4, 4}}), "", options).error().ToString(),
              HasSubstr("the prototxt declares [1,3,4,4]"));
  options.input_shapes = {{"other", Shape{1}}};
  EXPECT_THAT(TryImport(OneLayer("ReLU", "", {{1, 3, 4, 4}}), "", options).error().ToString(),
              HasSubstr("'other', which the net lacks"));
}

TEST(Net, DeclaredForOneWindow) {
  const std::string net = InputText("x", {1, 1, 4, 4}) + R"(
    layer { name: "a" type: "Pooling" bottom: "x" top: "a" pooling_param { kernel_size: 2
            stride: 2 } }
    layer { name: "b" type: "Pooling" bottom: "a" top: "b" pooling_param { kernel_size: 2 } })";
  Graph g = Import(net);
  EXPECT_EQ(g.value(g.inputs()[0]).type.ToString(), "float32[1,1,x_height,x_width]");
  EXPECT_EQ(g.metadata["declared_shape.x"], "[1,1,4,4]");
  EXPECT_EQ(RunGraph(g, {Count({1, 1, 4, 4})})[0].dims(), (Dims{1, 1, 1, 1}));
  EXPECT_EQ(RunGraph(g, {Count({1, 1, 8, 6})})[0].dims(), (Dims{1, 1, 3, 2}));
  // Given sizes are kept, as are those of a net that ends in one pixel for any input.
  CaffeOptions options;
  options.input_shapes["x"] = Shape{1, 1, 4, 4};
  g = Import(net, {}, options);
  EXPECT_EQ(g.value(g.inputs()[0]).type.ToString(), "float32[1,1,4,4]");
  g = Import(OneLayer("Pooling", "pooling_param { global_pooling: true }", {{1, 1, 4, 4}}));
  EXPECT_EQ(g.value(g.inputs()[0]).type.ToString(), "float32[1,1,4,4]");
}

TEST(Net, V1LayersMeanTheSameAsV2) {
  const std::string v1 = R"(input: "x" input_dim: 1 input_dim: 2 input_dim: 4 input_dim: 4
    layers { name: "c" type: CONVOLUTION bottom: "x" top: "c" blobs_lr: 1 weight_decay: 0
             param: "shared"
             convolution_param { num_output: 3 kernel_size: 3 pad: 1 bias_term: false } }
    layers { name: "r" type: RELU bottom: "c" top: "c" relu_param { negative_slope: 0.5 } }
    layers { name: "d" type: DROPOUT bottom: "c" top: "c" }
    layers { name: "p" type: POOLING bottom: "c" top: "p" pooling_param { kernel_size: 2 } })";
  const Tensor weights = Noise({3, 2, 3, 3}), x = Noise({1, 2, 4, 4}, 2);
  WeightFile file;
  WeightFile::V1Layer& layer = *file.add_layers();
  layer.set_name("c");
  SetBlob(weights, *layer.add_blobs());
  Result<Graph> old = TryImport(v1, Bytes(file));
  ASSERT_TRUE(old) << old.error().ToString();
  Graph now = Import(InputText("x", {1, 2, 4, 4}) + R"(
    layer { name: "c" type: "Convolution" bottom: "x" top: "c"
            convolution_param { num_output: 3 kernel_size: 3 pad: 1 bias_term: false } }
    layer { name: "r" type: "ReLU" bottom: "c" top: "r" relu_param { negative_slope: 0.5 } }
    layer { name: "p" type: "Pooling" bottom: "r" top: "p" pooling_param { kernel_size: 2 } })",
                     {{"c", {weights}}});
  EXPECT_EQ(RunGraph(*old, {x})[0], RunGraph(now, {x})[0]);
  EXPECT_THAT(OutputNames(*old), ElementsAre("p"));
}

TEST(Net, V0IsRefusedWithTheRemedy) {
  EXPECT_THAT(Error("layers { layer { name: 'c' type: 'conv' } bottom: 'x' top: 'c' }"),
              HasSubstr("upgrade_net_proto_text"));
}

TEST(Net, TwoFormsInOneFile) {
  EXPECT_THAT(Error("layers { name: 'a' type: RELU } layer { name: 'b' type: 'ReLU' }"),
              HasSubstr("two forms"));
}

TEST(Net, FieldsOfOthersAreSkipped) {
  Graph g = Import(R"(input: "x" input_shape { dim: 2 } own_field { a: 1 b { c: "d" } }
    layer { name: "r" type: "ReLU" bottom: "x" top: "y" my_param { kind: FAST } list: [1, 2] })");
  EXPECT_THAT(OutputNames(g), ElementsAre("y"));
}

TEST(Net, TextErrorsNameLineAndColumn) {
  EXPECT_THAT(Error("layer {\n  name: 'a'\n  top = 'b' }"), HasSubstr("prototxt:3:7: "));
  EXPECT_THAT(Error("layer { pooling_param { pool: MEDIAN } }"),
              AllOf(HasSubstr("prototxt:1:"), HasSubstr("MEDIAN")));
  EXPECT_THAT(Error(std::string(100000, '{')), HasSubstr("invalid model"));
  std::string deep = "layer ";
  for (int i = 0; i < 100000; ++i) deep += "{ a ";
  EXPECT_THAT(Error(deep), HasSubstr("too deep"));
}

TEST(Net, SolverFilesAreToldApart) {
  EXPECT_THAT(Error("net: 'train.prototxt' base_lr: 0.1"),
              AllOf(HasSubstr("solver"), HasSubstr("train.prototxt")));
  EXPECT_THAT(Error("name: 'empty'"), HasSubstr("no layer"));
}

TEST(Net, BlobsInPlace) {
  // Who reads a blob reads what was last written before; the last writer has the name.
  Graph g = Import(InputText("x", {2}) + R"(
    layer { name: "a" type: "Power" bottom: "x" top: "t" power_param { shift: 1 } }
    layer { name: "early" type: "Power" bottom: "t" top: "early" power_param { scale: 10 } }
    layer { name: "b" type: "Power" bottom: "t" top: "t" power_param { scale: 2 } }
    layer { name: "drop" type: "Dropout" bottom: "t" top: "t" })");
  EXPECT_THAT(OutputNames(g), ElementsAre("early", "t"));
  auto outputs = RunGraph(g, {F({2}, {1, 2})});
  ExpectEqual(outputs.at(0), F({2}, {20, 30}));
  ExpectEqual(outputs.at(1), F({2}, {4, 6}));
}

TEST(Net, InputsInPlaceKeepTheirName) {
  Graph g = Import(InputText("x", {2}) +
                   "layer { name: 'a' type: 'Power' bottom: 'x' top: 'x' power_param { shift: 1 } }"
                   "layer { name: 'b' type: 'AbsVal' bottom: 'x' top: 'y' }");
  EXPECT_EQ(g.value(g.inputs()[0]).name, "x");
  ExpectEqual(RunGraph(g, {F({2}, {-3, 1})})[0], F({2}, {2, 2}));
}

TEST(Net, OutputsAreTheTopsThatNothingReads) {
  Graph g = Import(InputText("x", {4}) + R"(
    layer { name: "z" type: "Split" bottom: "x" top: "z" top: "copy" }
    layer { name: "s" type: "Slice" bottom: "z" top: "q" top: "p" slice_param { axis: 0 } }
    layer { name: "b" type: "AbsVal" bottom: "p" top: "b" }
    layer { name: "quiet" type: "Silence" bottom: "q" })");
  EXPECT_THAT(OutputNames(g), ElementsAre("copy", "b"));
  auto outputs = RunGraph(g, {F({4}, {1, 2, -3, -4})});
  ExpectEqual(outputs.at(0), F({4}, {1, 2, -3, -4}));
  ExpectEqual(outputs.at(1), F({2}, {3, 4}));
  EXPECT_THAT(Error(InputText("x", {4}) + "layer { name: 'q' type: 'Silence' bottom: 'x' }"),
              HasSubstr("no output"));
}

TEST(Net, PhasesAndStages) {
  auto kept = [](const std::string& rules, const std::string& state = "") {
    Graph g = Import(state + InputText("x", {1}) +
                     "layer { name: 'a' type: 'AbsVal' bottom: 'x' top: 'a' " + rules + " }" +
                     "layer { name: 'z' type: 'AbsVal' bottom: 'x' top: 'z' }");
    return OutputNames(g).size() == 2;
  };
  EXPECT_TRUE(kept(""));
  EXPECT_TRUE(kept("include { phase: TEST }"));
  EXPECT_FALSE(kept("include { phase: TRAIN }"));
  EXPECT_TRUE(kept("include { phase: TRAIN } include { phase: TEST }"));
  EXPECT_FALSE(kept("exclude { phase: TEST }"));
  EXPECT_TRUE(kept("exclude { phase: TRAIN }"));
  EXPECT_FALSE(kept("include { stage: 'deploy' }"));
  EXPECT_TRUE(kept("include { stage: 'deploy' }", "state { stage: 'deploy' }"));
  EXPECT_TRUE(kept("include { not_stage: 'deploy' }"));
  EXPECT_FALSE(kept("include { not_stage: 'deploy' }", "state { stage: 'deploy' }"));
  EXPECT_FALSE(kept("include { min_level: 1 }"));
  EXPECT_TRUE(kept("include { min_level: 1 }", "state { level: 2 }"));
  EXPECT_FALSE(kept("include { max_level: 1 }", "state { level: 2 }"));
  EXPECT_THAT(Error("layer { name: 'a' type: 'AbsVal' include {} exclude {} }"),
              HasSubstr("include rules and exclude rules"));
}

TEST(Net, TrainingIsLeftOut) {
  std::vector<std::string> notes;
  CaffeOptions options;
  options.on_note = [&](const std::string& note) { notes.push_back(note); };
  Graph g = Import(R"(
    layer { name: "data" type: "Data" top: "data" top: "label"
            data_param { batch_size: 2 source: "lmdb" }
            transform_param { crop_size: 4 mean_value: 104 mean_value: 117 mean_value: 123
                              scale: 0.5 mirror: true } }
    layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"
            pooling_param { pool: AVE kernel_size: 3 } }
    layer { name: "accuracy" type: "Accuracy" bottom: "pool" bottom: "label" top: "accuracy" }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "pool" bottom: "label" top: "loss" }
    layer { name: "sum" type: "Eltwise" bottom: "loss" bottom: "accuracy" top: "sum" })",
                   {}, options);
  EXPECT_THAT(OutputNames(g), ElementsAre("pool"));
  ASSERT_EQ(g.inputs().size(), 1u);
  EXPECT_EQ(SizesOf(g, "data"), (Dims{2, 3, 4, 4}));
  EXPECT_EQ(g.metadata["preprocessing.data"], "mean 104, 117, 123; scale 0.5");
  EXPECT_THAT(notes, ElementsAre(AllOf(HasSubstr("'accuracy' (Accuracy)"), HasSubstr("'loss'"),
                                       HasSubstr("'sum' (Eltwise)")),
                                 HasSubstr("mean 104, 117, 123")));
}

TEST(Net, ProbabilitiesOfALossAreKept) {
  Graph g = Import(InputText("x", {1, 2}) + InputText("label", {1}) + R"(
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "label" top: "loss"
            top: "prob" })");
  EXPECT_EQ(g.inputs().size(), 1u);
  EXPECT_THAT(OutputNames(g), ElementsAre("prob"));
  ExpectEqual(RunGraph(g, {F({1, 2}, {3, 3})})[0], F({1, 2}, {0.5, 0.5}));
}

TEST(Net, SizesOfDataLayers) {
  auto sizes = [](const std::string& layer) {
    Result<Graph> g = TryImport("layer { name: 'd' top: 'd' " + layer +
                                " } layer { name: 'a' type: 'AbsVal' bottom: 'd' top: 'a' }");
    return g ? g->value(g->outputs()[0]).type.shape->ToString() : g.error().ToString();
  };
  EXPECT_EQ(sizes("type: 'MemoryData' memory_data_param { batch_size: 1 channels: 2 height: 3 "
                  "width: 4 }"),
            "[1,2,3,4]");
  EXPECT_EQ(sizes("type: 'ImageData' image_data_param { batch_size: 5 new_height: 6 new_width: 7 "
                  "is_color: false }"),
            "[5,1,6,7]");
  EXPECT_EQ(sizes("type: 'Data' data_param { batch_size: 5 crop_size: 8 } "
                  "transform_param { force_gray: true }"),
            "[5,1,8,8]");
  EXPECT_EQ(sizes("type: 'DummyData' dummy_data_param { num: 1 channels: 2 height: 3 width: 4 "
                  "data_filler { type: 'gaussian' } }"),
            "[1,2,3,4]");
  EXPECT_EQ(sizes("type: 'DummyData' dummy_data_param { shape { dim: 6 } }"), "[6]");
  EXPECT_THAT(sizes("type: 'Data' data_param { batch_size: 5 }"), HasSubstr("--input-shape d="));
  EXPECT_THAT(sizes("type: 'HDF5Data' hdf5_data_param { batch_size: 5 }"),
              HasSubstr("--input-shape d="));
  EXPECT_THAT(sizes("type: 'Input' input_param { shape { dim: 0 } }"), HasSubstr("has shape [0]"));
}

TEST(Net, ConstantDummyDataAreNoInput) {
  Graph g = Import(InputText("x", {1, 2}) + R"(
    layer { name: "c" type: "DummyData" top: "c"
            dummy_data_param { shape { dim: 1 dim: 2 } data_filler { value: 3 } } }
    layer { name: "s" type: "Eltwise" bottom: "x" bottom: "c" top: "s" })");
  EXPECT_EQ(g.inputs().size(), 1u);
  ExpectEqual(RunGraph(g, {F({1, 2}, {1, 2})})[0], F({1, 2}, {4, 5}));
}

TEST(Net, EverythingUnsupportedIsListedAtOnce) {
  const std::string error = Error(InputText("x", {1, 2, 4, 4}) + R"(
    layer { name: "p" type: "Python" bottom: "x" top: "a"
            python_param { module: "rpn" layer: "Proposal" } }
    layer { name: "q" type: "Warp" bottom: "a" top: "b" }
    layer { name: "r" type: "Warp" bottom: "x" top: "c" }
    layer { name: "s" type: "Pooling" bottom: "x" top: "d"
            pooling_param { pool: STOCHASTIC kernel_size: 2 } }
    layer { name: "t" type: "ReLU" bottom: "b" top: "e" })");
  EXPECT_THAT(error, AllOf(HasSubstr("unsupported"), HasSubstr("Python layer rpn.Proposal"),
                           HasSubstr("layer type Warp (layer 'q', layer 'r')"),
                           HasSubstr("STOCHASTIC (layer 's')"), Not(HasSubstr("'t'"))));
}

TEST(Net, BlobsThatAreNotThere) {
  EXPECT_THAT(Error("layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'y' }"),
              AllOf(HasSubstr("bottom 'x' is not defined"), HasSubstr("layer 'r' (ReLU)")));
  EXPECT_THAT(Error(InputText("x", {1}) + "layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'y' }" +
                    "layer { name: 's' type: 'ReLU' bottom: 'x' top: 'y' }"),
              HasSubstr("top 'y' is defined by a layer before"));
  EXPECT_THAT(Error(InputText("x", {1}) + InputText("x", {1})), HasSubstr("defined twice"));
  EXPECT_THAT(Error(InputText("x", {1}) +
                    "layer { name: 'r' type: 'ReLU' bottom: 'x' bottom: 'x' top: 'y' }"),
              HasSubstr("2 bottoms given, the layer has 1"));
  EXPECT_THAT(Error(InputText("x", {1}) + "layer { name: 'r' type: 'ReLU' bottom: 'x' }"),
              HasSubstr("0 tops given"));
  EXPECT_THAT(
      Error(InputText("x", {1, 2}) + "layer { name: 'r' type: 'Reduction' bottom: 'x' top: '' "
                                     "reduction_param { operation: SUMSQ axis: 1 coeff: 2 } }"),
      AllOf(HasSubstr("a top without a name"), HasSubstr("layer 'r' (Reduction)")));
}

}  // namespace
}  // namespace sula::caffe
