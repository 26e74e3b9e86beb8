// Status and Result<T>: how every sula call reports failure. Nothing in sula throws.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#pragma GCC visibility push(default)
namespace sula {

enum class Code {
  kOk = 0,
  kInvalidArgument,    // a wrong shape, name or option in a call
  kInvalidModel,       // a file or graph that breaks its format's rules
  kUnsupported,        // well-formed, but outside what sula can do; the message names it
  kNotFound,           // no such file, value or operator
  kIo,                 // reading or writing failed
  kResourceExhausted,  // would need more memory than allowed
  kInternal,           // a bug in sula
};

std::string_view CodeName(Code code);

// The outcome of a call: a code, a message (cause and remedy) and the frames it passed through,
// innermost first ("node 'conv1' (Conv)", "model 'a.onnx'").
class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::vector<std::string>& context() const { return context_; }

  // Appends a frame that says where the failure was met. No effect on OK.
  Status& AddContext(std::string frame) &;
  Status&& AddContext(std::string frame) &&;

  // "unsupported: operator Foo\n  in node 'x'\n  in model 'a.onnx'"
  std::string ToString() const;

 private:
  Code code_ = Code::kOk;
  std::string message_;
  std::vector<std::string> context_;
};

// A value or the Status that explains why there is none; member names as in std::expected.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) {
    if (status_.ok()) std::abort();  // an OK status without a value is a bug of the caller
  }

  bool has_value() const { return value_.has_value(); }
  explicit operator bool() const { return has_value(); }
  const Status& error() const { return status_; }
  const Status& status() const { return status_; }

  // Precondition of all of these: has_value(); otherwise the process is aborted.
  T& value() & { return Checked(), *value_; }
  const T& value() const& { return Checked(), *value_; }
  T&& value() && { return Checked(), std::move(*value_); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  void Checked() const {
    if (!value_) std::abort();
  }
  std::optional<T> value_;
  Status status_;
};

}  // namespace sula
#pragma GCC visibility pop
