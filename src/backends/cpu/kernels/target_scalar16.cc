// Linked into programs that have the 16-lane emulation of the kernels.
namespace sula::cpu {

extern const bool kHasScalar16;
constinit const bool kHasScalar16 = true;

}  // namespace sula::cpu
