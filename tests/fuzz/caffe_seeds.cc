#include "fuzz/caffe_seeds.h"

#include "frontends_caffe/nets.h"

namespace sula::fuzz {

std::string NetOfAllWeights() {
  return R"(name: "all" input: "data" input_dim: 2 input_dim: 3 input_dim: 9 input_dim: 8
layer { name: "conv" type: "Convolution" bottom: "data" top: "c" convolution_param {
  num_output: 4 kernel_size: 3 pad: 1 stride: 2 group: 1 dilation: 1 } }
layer { name: "norm" type: "BatchNorm" bottom: "c" top: "c" batch_norm_param { eps: 0.001 } }
layer { name: "scale" type: "Scale" bottom: "c" top: "c" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "c" top: "c" relu_param { negative_slope: 0.1 } }
layer { name: "pool" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "fc" type: "InnerProduct" bottom: "p" top: "f" inner_product_param { num_output: 5 axis: 1 } }
layer { name: "drop" type: "Dropout" bottom: "f" top: "f" }
layer { name: "prob" type: "Softmax" bottom: "f" top: "prob" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "f" bottom: "label" top: "l" include { phase: TRAIN } })";
}

std::vector<std::string> CaffeNets() {
  using caffe::InputText;
  using caffe::OneLayer;
  std::vector<std::string> nets = {
      NetOfAllWeights(),
      R"(input: "data" input_shape { dim: 1 dim: 3 dim: 9 dim: 8 }
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "c" convolution_param { num_output: 4 kernel_h: 3 kernel_w: 3 pad: 1 stride: 2 } }
layers { name: "relu" type: RELU bottom: "c" top: "c" }
layers { name: "pool" type: POOLING bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 } }
layers { name: "fc" type: INNER_PRODUCT bottom: "p" top: "f" inner_product_param { num_output: 5 } })",
      InputText("a", {1, 8, 4, 4}) + InputText("b", {1, 8, 4, 4}) +
          R"(layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "s" eltwise_param { operation: SUM coeff: 1 coeff: -1 } }
layer { name: "cut" type: "Slice" bottom: "s" top: "u" top: "v" slice_param { axis: 1 slice_point: 3 } }
layer { name: "join" type: "Concat" bottom: "v" bottom: "u" top: "j" concat_param { concat_dim: 1 } }
layer { name: "turn" type: "Permute" bottom: "j" top: "t" permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "form" type: "Reshape" bottom: "t" top: "r" reshape_param { shape { dim: 0 dim: -1 dim: 4 } } }
layer { name: "top" type: "ArgMax" bottom: "r" top: "y" argmax_param { axis: 2 top_k: 2 } })"};
  const struct {
    const char *type, *parameters;
  } layers[] = {
      {"LRN", "lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL }"},
      {"LRN", "lrn_param { local_size: 5 alpha: 0.1 beta: 0.75 }"},
      {"MVN", "mvn_param { across_channels: true }"},
      {"Power", "power_param { power: 2 scale: 0.5 shift: 1 }"},
      {"Exp", "exp_param { base: 2 }"},
      {"Tile", "tile_param { axis: 1 tiles: 3 }"},
      {"Reduction", "reduction_param { operation: SUMSQ axis: 1 coeff: 2 }"},
      {"Interp", "interp_param { height: 5 width: 7 }"},
      {"ShuffleChannel", "shuffle_channel_param { group: 2 }"},
      {"Reorg", "reorg_param { stride: 2 }"},
      {"SPP", "spp_param { pyramid_height: 2 pool: MAX }"},
      {"Flatten", "flatten_param { axis: 1 end_axis: 2 }"},
      {"PriorBox",
       "prior_box_param { min_size: 2 max_size: 4 aspect_ratio: 2 flip: true "
       "variance: 0.1 img_size: 32 }"},
  };
  for (const auto& l : layers) nets.push_back(OneLayer(l.type, l.parameters, {{1, 4, 6, 6}}));
  nets.push_back(
      OneLayer("Crop", "crop_param { axis: 2 offset: 1 }", {{1, 2, 6, 6}, {1, 2, 4, 4}}));
  nets.push_back(OneLayer("DetectionOutput",
                          "detection_output_param { num_classes: 2 share_location: true "
                          "background_label_id: 0 nms_param { nms_threshold: 0.5 top_k: 10 } "
                          "keep_top_k: 5 confidence_threshold: 0.1 code_type: CENTER_SIZE }",
                          {{1, 16}, {1, 8}, {1, 2, 16}}));
  return nets;
}

std::string CaffeWeights() {
  using caffe::Noise;
  return caffe::Bytes(caffe::LayerBlobs{
      {"conv", {Noise({4, 3, 3, 3}), Noise({4})}},
      {"norm", {Noise({4}), caffe::Count({4}, 1), caffe::Count({1}, 1)}},
      {"scale", {Noise({4}), Noise({4})}},
      {"fc", {Noise({5, 36}), Noise({5})}},
  });
}

}  // namespace sula::fuzz
