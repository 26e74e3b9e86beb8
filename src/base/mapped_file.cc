#include "base/mapped_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <system_error>

namespace sula {
namespace {

std::string ErrnoText(int error) { return std::generic_category().message(error); }

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  // Closes now; false if the system reports that written data was lost.
  bool Close() { return close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

// Writing past the process's limit for files raises a signal, whose default is to end the process;
// held back, it leaves the error code alone.
class HeldFileSizeSignal {
 public:
  HeldFileSizeSignal() {
    sigemptyset(&signal_);
    sigaddset(&signal_, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &signal_, &before_);
  }
  HeldFileSizeSignal(const HeldFileSizeSignal&) = delete;
  HeldFileSizeSignal& operator=(const HeldFileSizeSignal&) = delete;
  ~HeldFileSizeSignal() {
    if (sigismember(&before_, SIGXFSZ)) return;
    constexpr timespec kNow{};
    while (sigtimedwait(&signal_, nullptr, &kNow) == SIGXFSZ) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t signal_, before_;
};

bool WriteAll(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

// The permission bits that a plain open(..., 0666) would give; umask can be read only by setting
// it, which would race with other threads, so the system is asked by creating the file.
int CreateBeside(const std::string& path, std::string* temporary) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    *temporary = StrCat(path, ".", getpid(), ".", attempt, ".tmp");
    const int fd = open(temporary->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::Open(const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  FileDescriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) return NotFound("no file '", path, "'");
    return IoError("cannot open '", path, "': ", ErrnoText(error));
  }
  struct stat info;
  if (fstat(fd.get(), &info) != 0) {
    return IoError("cannot examine '", path, "': ", ErrnoText(errno));
  }
  if (!S_ISREG(info.st_mode)) return IoError("'", path, "' is not a regular file");
  std::shared_ptr<MappedFile> file(new MappedFile);
  file->path_ = path;
  if (info.st_size > 0) {
    const size_t size = static_cast<size_t>(info.st_size);
    void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (data == MAP_FAILED) return IoError("cannot map '", path, "': ", ErrnoText(errno));
    file->data_ = static_cast<const std::byte*>(data);
    file->size_ = size;
  }
  return std::shared_ptr<const MappedFile>(std::move(file));
}

void MappedFile::Release(std::span<const std::byte> part) const {
  if (part.empty() || part.data() < data_ || part.data() >= data_ + size_) return;
  // Reading one page makes the system map its neighbours too, in blocks of this size.
  constexpr uintptr_t kAround = 64 << 10;
  const uintptr_t first = reinterpret_cast<uintptr_t>(data_);
  const uintptr_t begin = reinterpret_cast<uintptr_t>(part.data()) / kAround * kAround;
  const uintptr_t end = reinterpret_cast<uintptr_t>(part.data() + part.size());
  const uintptr_t from = std::max(begin, first);
  const uintptr_t to = std::min((end + kAround - 1) / kAround * kAround, first + size_);
  // The mapping is private and never written, so the file still has what is dropped.
  static_cast<void>(madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
}

Status WriteFileAtomically(const std::string& path,
                           std::span<const std::span<const std::byte>> parts) {
  const HeldFileSizeSignal held;
  std::string temporary;
  FileDescriptor fd(CreateBeside(path, &temporary));
  if (fd.get() < 0) return IoError("cannot write beside '", path, "': ", ErrnoText(errno));
  bool written = true;
  for (std::span<const std::byte> part : parts) written = written && WriteAll(fd.get(), part);
  // The data must be on the disk before the name is, or a crash leaves an empty file.
  written = written && fsync(fd.get()) == 0;
  int error = written ? 0 : errno;
  if (!fd.Close() && error == 0) error = errno;
  if (error == 0 && rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0) return Status();
  unlink(temporary.c_str());
  return IoError("cannot write '", path, "': ", ErrnoText(error));
}

}  // namespace sula
