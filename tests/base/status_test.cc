#include "base/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

namespace sula {
namespace {

TEST(Status, OkHasNoText) {
  Status s;
  EXPECT_TRUE(s.ok());
  s.AddContext("node 'a'");
  EXPECT_TRUE(s.context().empty());
  EXPECT_EQ(s.ToString(), "ok");
}

TEST(Status, NamesKindCauseAndFramesInnermostFirst) {
  Status s = Unsupported("operator ", "Foo", " of version ", 3);
  s.AddContext("node 'x'");
  EXPECT_EQ(std::move(s).AddContext("model 'a.onnx'").ToString(),
            "unsupported: operator Foo of version 3\n  in node 'x'\n  in model 'a.onnx'");
}

TEST(Status, EveryCodeHasItsOwnName) {
  const Status all[] = {Status(),      InvalidArgument("m"),   InvalidModel("m"), Unsupported("m"),
                        NotFound("m"), ResourceExhausted("m"), IoError("m"),      Internal("m")};
  for (const Status& a : all) {
    EXPECT_NE(CodeName(a.code()), "unknown");
    for (const Status& b : all) EXPECT_EQ(&a == &b, CodeName(a.code()) == CodeName(b.code()));
  }
}

Result<std::unique_ptr<int>> Positive(int n) {
  if (n <= 0) return InvalidArgument(n, " is not positive");
  return std::make_unique<int>(n);
}

Result<int> Twice(int n) {
  ASSIGN_OR_RETURN(const std::unique_ptr<int> p, Positive(n));
  return 2 * *p;
}

Status Check(int n) {
  RETURN_IF_ERROR(Twice(n).status());
  return Status();
}

TEST(Result, CarriesMoveOnlyValuesAndErrorsThroughTheMacros) {
  EXPECT_EQ(*Twice(4), 8);
  EXPECT_TRUE(Check(1).ok());
  EXPECT_EQ(Check(-1).message(), "-1 is not positive");
  EXPECT_FALSE(Twice(0));
  EXPECT_EQ(Twice(0).error().code(), Code::kInvalidArgument);
}

TEST(ResultDeathTest, ValueOfAnErrorAborts) {
  EXPECT_DEATH(static_cast<void>(Twice(0).value()), "");
  EXPECT_DEATH(SULA_CHECK(1 + 1 == 3), "1 \\+ 1 == 3");
}

}  // namespace
}  // namespace sula
