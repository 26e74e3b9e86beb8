// Caffe frontend: .prototxt (the net) and .caffemodel (its weights) -> Graph.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "ir/graph.h"

namespace sula {

struct CaffeOptions {
  // Replaces the declared shapes of these inputs.
  std::map<std::string, Shape> input_shapes;
  // Is told what a user should know but what is no error: layers left out because they are for
  // training, weights that no layer takes, preprocessing that the net declares.
  std::function<void(const std::string& note)> on_note;
};

// Reads a Caffe net as it is in its TEST phase, in the form of any version but the first (V0).
// Inputs are called as in the prototxt; the outputs are the tops that nothing reads, in the order
// of the file, called by their blobs. Sizes are those that the prototxt declares; but where every
// output is a map of a single pixel that grows with the input (a net declared for one window that
// is to slide over images), height and width stay free unless input_shapes says more. `caffemodel`:
// the file with the weights, empty if there is none, which suits nets without weights alone.
// Errors: kNotFound, kIo; kInvalidModel for broken files (text with line and column), for layers
// without weights and for shapes that don't fit, naming layer, blob and sizes; kUnsupported lists
// every layer that has no translation at once.
Result<Graph> ImportCaffe(const std::string& prototxt, const std::string& caffemodel,
                          const CaffeOptions& options = {});
// The same from memory. `weights` may be empty. Both may be released afterwards.
Result<Graph> ImportCaffeText(std::string_view prototxt, std::span<const std::byte> weights,
                              const CaffeOptions& options = {});

// Whether these are the contents of a weight file: judged by the structure of the whole, so that
// other protobuf formats are told apart.
bool LooksLikeCaffeWeights(std::span<const std::byte> contents);
// Whether this is a net in text form, judged by its first fields.
bool LooksLikePrototxt(std::string_view contents);

}  // namespace sula
