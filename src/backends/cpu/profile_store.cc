#include "backends/cpu/profile_store.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "backends/cpu/measure_profile.h"
#include "base/cache_folder.h"
#include "base/cpu_info.h"
#include "base/mapped_file.h"

namespace sula::cpu {
namespace {

// "machine-amd-epyc-avx2-32k-512k-32768k-0.1.0.txt"
std::string FileName(const MachineKey& key) {
  const std::string name =
      StrCat("machine-", key.processor, "-", key.instruction_set, "-", key.l1d_bytes >> 10, "k-",
             key.l2_bytes >> 10, "k-", key.l3_bytes >> 10, "k-", key.library);
  std::string plain;
  for (char c : name) {
    const bool keep = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.';
    if (c >= 'A' && c <= 'Z') {
      plain += static_cast<char>(c - 'A' + 'a');
    } else if (keep) {
      plain += c;
    } else if (!plain.ends_with('-')) {
      plain += '-';
    }
  }
  return plain.substr(0, 200) + ".txt";
}

std::atomic<ProfileStore*> scoped{nullptr};

ProfileStore& Store() {
  if (ProfileStore* store = scoped.load(std::memory_order_acquire)) return *store;
  // In use as long as threads may plan, so never destroyed.
  static auto* store = new ProfileStore(ProfilePath());
  return *store;
}

}  // namespace

std::string ProfilePath() {
  const char* named = std::getenv("SULA_MACHINE");
  if (named && std::string_view(named) == "off") return {};
  if (named && *named) return named;
  const std::string folder = CacheFolder();
  return folder.empty() ? std::string() : StrCat(folder, "/", FileName(ThisMachine()));
}

MachineKey ThisMachine() {
  const CpuInfo& cpu = CpuInfo::Get();
  return {SULA_VERSION,  cpu.model,    std::string(Name(BestTarget())),
          cpu.l1d_bytes, cpu.l2_bytes, cpu.l3_bytes};
}

ProfileStore::ProfileStore(const MachineProfile& given)
    : fixed_(true), ready_(true), origin_{{}, "given"}, profile_(given), kept_(given.parallel) {
  profile_.parallel.clear();
}

const MachineProfile& ProfileStore::Single() {
  const std::lock_guard lock(mutex_);
  Ensure();
  return profile_;
}

const ParallelSpeed& ProfileStore::Several(int threads) {
  const std::lock_guard lock(mutex_);
  Ensure();
  for (const auto& [asked, speed] : several_)
    if (asked == threads) return speed;
  const int used = fixed_ ? threads : std::max(2, std::min(threads, AvailableCpus()));
  const auto of_used = [&](const ParallelSpeed& s) { return s.threads == used; };
  const auto kept = std::ranges::find_if(kept_, of_used);
  several_.emplace_back(threads, kept != kept_.end() ? *kept : Measure(used));
  return several_.back().second;
}

ProfileOrigin ProfileStore::Origin() {
  const std::lock_guard lock(mutex_);
  Ensure();
  return origin_;
}

void ProfileStore::Renew() {
  const std::lock_guard lock(mutex_);
  if (fixed_) return;
  ready_ = true;
  origin_.note = "measured";
  profile_ = MeasureProfile();
  const std::vector<ParallelSpeed> before = std::exchange(kept_, {});
  Keep();
  for (const ParallelSpeed& s : before) Measure(s.threads);
  for (auto& [asked, speed] : several_) {
    const auto kept = std::ranges::find(kept_, speed.threads, &ParallelSpeed::threads);
    speed = kept != kept_.end() ? *kept : Measure(speed.threads);
  }
}

// And keeps it, unless the machine was too busy to tell: the next process may be luckier.
ParallelSpeed ProfileStore::Measure(int threads) {
  if (fixed_) {  // as if nothing were shared between threads
    const auto times = [&](const LevelRates& r) {
      return LevelRates{threads * r.read, threads * r.copy};
    };
    return {threads, 1.0 * threads, times(profile_.levels[2]), times(profile_.levels[3]), 2e-6};
  }
  bool busy = false;
  const ParallelSpeed speed = MeasureParallel(profile_, threads, &busy);
  if (busy) return speed;
  kept_.push_back(speed);
  std::ranges::sort(kept_, {}, &ParallelSpeed::threads);
  Keep();
  return *std::ranges::find(kept_, threads, &ParallelSpeed::threads);
}

// Reads the file, or measures and writes it.
void ProfileStore::Ensure() {
  if (ready_) return;
  ready_ = true;
  origin_.note = "measured";
  if (!origin_.file.empty()) {
    const Status status = Read();
    if (status.ok()) {
      origin_.note = "read";
      return;
    }
    if (status.code() != Code::kNotFound)
      origin_.note =
          StrCat("measured, because '", origin_.file, "' cannot be used: ", status.message());
    // Of another machine: somebody may still need it there.
    if (status.code() == Code::kUnsupported) origin_.file.clear();
  }
  profile_ = MeasureProfile();
  Keep();
}

Status ProfileStore::Read() {
  ASSIGN_OR_RETURN(const auto file, MappedFile::Open(origin_.file));
  const auto bytes = file->bytes();
  ASSIGN_OR_RETURN(MachineProfile read,
                   ParseProfile({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  if (read.key != ThisMachine())
    return Unsupported("it is of another machine or version: ", read.key.processor, ", ",
                       read.key.instruction_set, ", sula ", read.key.library);
  for (size_t t = 0; t < read.tiles.size(); ++t)
    for (size_t v = 0; v < read.tiles[t].size(); ++v) {
      const std::vector<TileSeconds>& tiles = read.tiles[t][v];
      if (tiles.empty()) continue;
      // The key says that the target is this machine's, but not every program has every target.
      const auto target = static_cast<Target>(t);
      if (std::ranges::count(AvailableTargets(), target) == 0 ||
          tiles.size() != static_cast<size_t>(GemmFor(target).tile_rows[v + 1]))
        return InvalidArgument("its tiles are not those of this build");
    }
  kept_ = std::exchange(read.parallel, {});
  profile_ = std::move(read);
  return {};
}

// Writes the file; and takes over what is read from it, so that this process chooses as the next.
void ProfileStore::Keep() {
  MachineProfile whole = profile_;
  whole.parallel = kept_;
  const std::string text = ToText(whole);
  if (Result<MachineProfile> parsed = ParseProfile(text); parsed.has_value()) {
    kept_ = std::exchange(parsed->parallel, {});
    profile_ = std::move(*parsed);
  }
  if (origin_.file.empty()) return;
  const size_t slash = origin_.file.rfind('/');
  Status status = slash == std::string::npos || slash == 0
                      ? Status()
                      : MakeFolders(origin_.file.substr(0, slash));
  const std::span<const std::byte> part = std::as_bytes(std::span(text));
  if (status.ok()) status = WriteFileAtomically(origin_.file, std::span(&part, 1));
  if (status.ok()) return;
  origin_.note += StrCat("; not kept: ", status.message());
  origin_.file.clear();
}

// ---- the one that estimates use

const MachineProfile& CurrentProfile() { return Store().Single(); }
const ParallelSpeed& CurrentParallel(int threads) { return Store().Several(threads); }
ProfileOrigin CurrentProfileOrigin() { return Store().Origin(); }
size_t CurrentL2Bytes() { return Store().L2Bytes(); }
void RenewProfile() { Store().Renew(); }

ScopedProfile::ScopedProfile(const MachineProfile& profile) {
  SULA_CHECK(scoped.exchange(new ProfileStore(profile), std::memory_order_acq_rel) == nullptr);
}
ScopedProfile::~ScopedProfile() { delete scoped.exchange(nullptr, std::memory_order_acq_rel); }

}  // namespace sula::cpu
