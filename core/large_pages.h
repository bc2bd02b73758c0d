// An allocator for arrays of many megabytes whose elements are visited in no order: in pages of
// 2 MB the processor finds them with far fewer walks through the page tables than in those of 4 KB.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <new>

namespace millwright {

// Small arrays are as those of std::allocator, but begin where a line of the cache does.
template <class T>
struct LargePages {
  using value_type = T;

  LargePages() = default;
  template <class U>
  explicit LargePages(const LargePages<U>&) {}

  T* allocate(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);  // count is bounded by the container
    void* array = ::operator new(bytes, alignment(bytes));
    // Where the kernel knows no such pages or refuses them, usual ones do.
    if (bytes >= page) static_cast<void>(::madvise(array, bytes, MADV_HUGEPAGE));
    return static_cast<T*>(array);
  }
  void deallocate(T* array, std::size_t count) {
    ::operator delete(array, alignment(count * sizeof(T)));
  }
  friend bool operator==(const LargePages&, const LargePages&) { return true; }

 private:
  static constexpr std::size_t page = std::size_t{2} << 20, line = 64;  // bytes
  static std::align_val_t alignment(std::size_t bytes) {
    return std::align_val_t{bytes >= page ? page : std::max(alignof(T), line)};
  }
};

}  // namespace millwright
