// Checks that Infer functions share. All accept what is not known yet (symbolic sizes, unknown
// ranks): the check is made again when the sizes are known.
#pragma once

#include <initializer_list>
#include <string_view>

#include "ir/op_def.h"

namespace sula {

// False only when both sizes are known and differ.
bool MayEqual(const Dim& a, const Dim& b);
bool MayEqual(const Shape& a, const Shape& b);

// An error unless all those of the inputs that are present have the same element type.
Status CheckSameType(const InferContext& ctx, std::initializer_list<int> inputs);

// An error unless input i, called `name` in the message, is absent or of shape [size].
Status CheckVector(const InferContext& ctx, int i, std::string_view name, const Dim& size);

// An error unless input i, called `name` in the message, is absent or has exactly one element.
Status CheckOneElement(const InferContext& ctx, int i, std::string_view name);

}  // namespace sula
