// Typed operator parameters: a plain struct per operator, plus one list of its fields from which
// the text form, the file form, equality, hashing and the documentation derive.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"
#include "tensor/tensor.h"

namespace sula {

// The value of a field in generic form. Enumerations and element types travel as their name.
using FieldValue = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>,
                                std::vector<double>, std::vector<std::string>>;

// An operator's parameters, type-erased and immutable; copies share. Every struct used with it
// must be default-constructible, copyable, and have a defaulted operator==.
class Params {
 public:
  Params() = default;  // of no type at all; operators without parameters use Params::Of(NoParams{})
  template <class P>
  static Params Of(P p) {
    Params r;
    r.ptr_ = std::make_shared<const P>(std::move(p));
    r.type_ = typeid(P);
    return r;
  }
  // Precondition: P is the stored type.
  template <class P>
  const P& As() const {
    SULA_CHECK(type_ == typeid(P));
    return *static_cast<const P*>(ptr_.get());
  }
  bool has_value() const { return ptr_ != nullptr; }
  bool SameType(const Params& other) const { return type_ == other.type_; }

 private:
  friend struct Field;
  std::shared_ptr<const void> ptr_;
  std::type_index type_ = typeid(void);
};

struct NoParams {
  friend bool operator==(const NoParams&, const NoParams&) = default;
};

// Specialise for an enumeration used in params: names in the order of its values, from 0.
//   template <> struct EnumNames<PoolKind> { static constexpr std::string_view kNames[] = {...}; };
template <class E>
struct EnumNames;

// One field of a params struct. Fields are written in text and files only where they differ from
// the default-constructed struct; unknown names are an error.
struct Field {
  std::string_view name;
  std::string_view help;
  FieldValue (*get)(const void* params);
  // An error if the value has another type or names no enumerator.
  Status (*set)(void* params, const FieldValue& value);

  static FieldValue Get(const Field& f, const Params& p) { return f.get(p.ptr_.get()); }
};

namespace field_internal {

Status WrongType(std::string_view expected);
Status OutOfRange(int64_t value);
Status UnknownName(std::string_view name, std::span<const std::string_view> known);

template <class M>
FieldValue ToValue(const M& m) {
  if constexpr (std::is_same_v<M, bool>)
    return m;
  else if constexpr (std::is_same_v<M, DType>)
    return std::string(Name(m));
  else if constexpr (std::is_enum_v<M>)
    return std::string(EnumNames<M>::kNames[static_cast<size_t>(m)]);
  else if constexpr (std::is_integral_v<M>)
    return static_cast<int64_t>(m);
  else if constexpr (std::is_floating_point_v<M>)
    return static_cast<double>(m);
  else if constexpr (std::is_same_v<M, std::vector<float>>)
    return std::vector<double>(m.begin(), m.end());
  else
    return m;
}

template <class M>
Status FromValue(const FieldValue& v, M& m) {
  if constexpr (std::is_same_v<M, DType>) {
    auto* s = std::get_if<std::string>(&v);
    if (!s) return WrongType("an element type");
    ASSIGN_OR_RETURN(m, ParseDType(*s));
    return {};
  } else if constexpr (std::is_enum_v<M>) {
    auto* s = std::get_if<std::string>(&v);
    if (!s) return WrongType("a name");
    for (size_t i = 0; i < std::size(EnumNames<M>::kNames); ++i)
      if (EnumNames<M>::kNames[i] == *s) return m = static_cast<M>(i), Status();
    return UnknownName(*s, EnumNames<M>::kNames);
  } else if constexpr (std::is_same_v<M, bool>) {
    auto* b = std::get_if<bool>(&v);
    if (!b) return WrongType("true or false");
    return m = *b, Status();
  } else if constexpr (std::is_integral_v<M>) {
    auto* i = std::get_if<int64_t>(&v);
    if (!i) return WrongType("an integer");
    if (!std::in_range<M>(*i)) return OutOfRange(*i);
    return m = static_cast<M>(*i), Status();
  } else if constexpr (std::is_floating_point_v<M>) {
    if (auto* d = std::get_if<double>(&v)) return m = static_cast<M>(*d), Status();
    if (auto* i = std::get_if<int64_t>(&v)) return m = static_cast<M>(*i), Status();
    return WrongType("a number");
  } else if constexpr (std::is_same_v<M, std::vector<float>> ||
                       std::is_same_v<M, std::vector<double>>) {
    if (auto* d = std::get_if<std::vector<double>>(&v))
      return m.assign(d->begin(), d->end()), Status();
    if (auto* i = std::get_if<std::vector<int64_t>>(&v))
      return m.assign(i->begin(), i->end()), Status();
    return WrongType("a list of numbers");
  } else {
    if (auto* x = std::get_if<M>(&v)) return m = *x, Status();
    // An empty list is written the same way whatever its elements.
    if constexpr (std::is_same_v<M, std::vector<std::string>>) {
      auto* i = std::get_if<std::vector<int64_t>>(&v);
      if (i && i->empty()) return m.clear(), Status();
      return WrongType("a list of strings");
    } else if constexpr (std::is_same_v<M, std::string>) {
      return WrongType("a string");
    } else {
      static_assert(std::is_same_v<M, std::vector<int64_t>>, "not a field type");
      return WrongType("a list of integers");
    }
  }
}

template <class T>
struct MemberOf;
template <class C, class M>
struct MemberOf<M C::*> {
  using Class = C;
};

}  // namespace field_internal

// constexpr Field kFields[] = {MakeField<&ConvParams::strides>("strides", "per spatial axis")};
// For a member of a base class name the derived struct: MakeField<&Base::x, Derived>.
template <auto kMember, class Struct = typename field_internal::MemberOf<decltype(kMember)>::Class>
constexpr Field MakeField(std::string_view name, std::string_view help) {
  return {name, help,
          [](const void* p) {
            return field_internal::ToValue(static_cast<const Struct*>(p)->*kMember);
          },
          [](void* p, const FieldValue& v) {
            return field_internal::FromValue(v, static_cast<Struct*>(p)->*kMember);
          }};
}

// "3", "1.5", "true", "\"nearest\"", "[1, 2]": as the graph text shows it. Floats print so that
// they read back exactly; one with an integral value keeps a point ("2.0"), so that it reads back
// as a float.
std::string ToString(const FieldValue& value);
// A string in double quotes; quote, backslash and control characters are escaped.
std::string Quoted(std::string_view text);

}  // namespace sula
