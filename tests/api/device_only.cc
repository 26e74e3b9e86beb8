// Uses all of the device library's entry points, so that all of it that a program needs is linked.
#include <cstdio>

#include "sula/model.h"
#include "sula/session.h"

int main(int argc, char** argv) {
  auto model = sula::LoadModel(argc > 1 ? argv[1] : "");
  if (!model) return std::printf("%s\n", model.error().ToString().c_str()), 1;
  auto session = sula::Session::Create(*model);
  auto info = sula::Inspect(**model);
  return session && info && (*session)->Run().ok() ? 0 : 1;
}
