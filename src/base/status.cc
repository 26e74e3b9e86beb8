#include "base/status.h"

namespace sula {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kOk: return "ok";
    case Code::kInvalidArgument: return "invalid argument";
    case Code::kInvalidModel: return "invalid model";
    case Code::kUnsupported: return "unsupported";
    case Code::kNotFound: return "not found";
    case Code::kIo: return "input/output error";
    case Code::kResourceExhausted: return "resource exhausted";
    case Code::kInternal: return "internal error";
  }
  return "unknown";
}

Status& Status::AddContext(std::string frame) & {
  if (!ok()) context_.push_back(std::move(frame));
  return *this;
}

Status&& Status::AddContext(std::string frame) && {
  return std::move(AddContext(std::move(frame)));
}

std::string Status::ToString() const {
  std::string text(CodeName(code_));
  if (!message_.empty()) text += ": " + message_;
  for (const std::string& frame : context_) text += "\n  in " + frame;
  return text;
}

void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s (this is a bug in sula)\n", file, line, condition);
  std::fflush(stderr);
  std::abort();
}

}  // namespace sula
