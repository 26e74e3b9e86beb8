#include "sula/machine.h"

#include <gtest/gtest.h>

namespace sula {
namespace {

TEST(ApiMachine, KnowsTheProcessor) {
  const MachineInfo machine = Machine();
  EXPECT_FALSE(machine.processor.empty());
  EXPECT_FALSE(machine.instruction_set.empty());
  EXPECT_GE(machine.cpus, 1);
  EXPECT_GT(machine.l1d_bytes, 0u);
}

TEST(ApiMachine, MeasuresWhatAProcessorCanDo) {
  for (int threads : {1, 2}) {
    const MachineSpeed speed = MeasureMachine(threads);
    // From an emulator at some MHz to 256 lanes of multiply-adds at 10 GHz, and no infinity.
    EXPECT_GT(speed.flops_per_second, 1e6);
    EXPECT_LT(speed.flops_per_second, threads * 5e12);
    EXPECT_GT(speed.bytes_per_second, 1e6);
    EXPECT_LT(speed.bytes_per_second, 1e13);
  }
}

}  // namespace
}  // namespace sula
