// Status for use inside sula: constructors by kind, formatting, and the two macros.
#pragma once

#include <cstdio>
#include <sstream>

#include "sula/status.h"

namespace sula {

// Concatenates anything that has operator<<: StrCat("expected ", n, " inputs").
template <class... Args>
std::string StrCat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return std::move(out).str();
}

template <class... Args>
Status InvalidArgument(const Args&... args) {
  return Status(Code::kInvalidArgument, StrCat(args...));
}
template <class... Args>
Status InvalidModel(const Args&... args) {
  return Status(Code::kInvalidModel, StrCat(args...));
}
template <class... Args>
Status Unsupported(const Args&... args) {
  return Status(Code::kUnsupported, StrCat(args...));
}
template <class... Args>
Status NotFound(const Args&... args) {
  return Status(Code::kNotFound, StrCat(args...));
}
template <class... Args>
Status IoError(const Args&... args) {
  return Status(Code::kIo, StrCat(args...));
}
template <class... Args>
Status ResourceExhausted(const Args&... args) {
  return Status(Code::kResourceExhausted, StrCat(args...));
}
template <class... Args>
Status Internal(const Args&... args) {
  return Status(Code::kInternal, StrCat(args...));
}

[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

}  // namespace sula

// For sula's own bugs alone: no file, argument or model may be able to reach a failing CHECK.
#define SULA_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::sula::CheckFailed(#condition, __FILE__, __LINE__))

#define SULA_CONCAT_INNER(a, b) a##b
#define SULA_CONCAT(a, b) SULA_CONCAT_INNER(a, b)

// Returns the status of `expr` from the calling function if it is an error.
#define RETURN_IF_ERROR(expr)                                                       \
  do {                                                                              \
    if (::sula::Status sula_status = (expr); !sula_status.ok()) return sula_status; \
  } while (false)

// ASSIGN_OR_RETURN(auto x, F()): declares x from the Result, or returns its error.
#define ASSIGN_OR_RETURN(lhs, expr) \
  ASSIGN_OR_RETURN_IMPL(SULA_CONCAT(sula_result_, __LINE__), lhs, expr)
#define ASSIGN_OR_RETURN_IMPL(result, lhs, expr)              \
  auto result = (expr);                                       \
  if (!result.has_value()) return std::move(result).status(); \
  lhs = std::move(result).value()
