// A library to be loaded before a program's own (LD_PRELOAD): its clocks run faster, and its wall
// clock can be set while it runs, as a person or NTP would.
//
//   MILLWRIGHT_TEST_CLOCK        a file of 8 bytes: microseconds by which the wall clock is off;
//                                mapped, so whoever writes it sets the clock at once
//   MILLWRIGHT_TEST_CLOCK_SPEED  how many times faster all clocks run; every wait is as much
//   shorter
//
// Waits until a time of the wall clock follow its steps, as in the kernel.
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

namespace {

using Nanoseconds = std::int64_t;
constexpr Nanoseconds second = 1'000'000'000;
constexpr Nanoseconds slice = second / 20;  // how soon a wait notices that the clock was set

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

Nanoseconds nanoseconds(const timespec& t) { return t.tv_sec * second + t.tv_nsec; }
timespec spec(Nanoseconds t) { return {t / second, t % second}; }

struct Clocks {
  decltype(&::clock_gettime) read = next<decltype(::clock_gettime)>("clock_gettime");
  Nanoseconds begun = real(CLOCK_MONOTONIC), begun_wall = real(CLOCK_REALTIME);
  double speed = 1;
  const std::atomic<std::int64_t>* off = nullptr;  // microseconds

  Clocks() {
    if (const char* text = std::getenv("MILLWRIGHT_TEST_CLOCK_SPEED")) speed = std::atof(text);
    const char* file = std::getenv("MILLWRIGHT_TEST_CLOCK");
    if (file == nullptr) return;
    const int descriptor = ::open(file, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) std::abort();
    void* const mapped =
        ::mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, descriptor, 0);
    ::close(descriptor);
    if (mapped == MAP_FAILED) std::abort();
    off = static_cast<const std::atomic<std::int64_t>*>(mapped);
  }

  Nanoseconds real(clockid_t clock) const {
    timespec now{};
    read(clock, &now);
    return nanoseconds(now);
  }
  Nanoseconds now(clockid_t clock) const {
    const auto passed = real(CLOCK_MONOTONIC) - begun;
    const auto faster = static_cast<Nanoseconds>(static_cast<double>(passed) * speed);
    if (!is_wall(clock)) return begun + faster;
    return begun_wall + faster + (off == nullptr ? 0 : off->load() * 1000);
  }
  static bool is_wall(clockid_t clock) {
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  }
  static bool is_ours(clockid_t clock) {
    return is_wall(clock) || clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW ||
           clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_BOOTTIME;
  }
  Nanoseconds shorter(Nanoseconds wait) const {
    return wait <= 0 ? wait
                     : std::max<Nanoseconds>(
                           1, static_cast<Nanoseconds>(static_cast<double>(wait) / speed));
  }
  timespec shorter(const timespec& wait) const { return spec(shorter(nanoseconds(wait))); }
};

const Clocks& clocks() {
  static const Clocks all;
  return all;
}

int wait_on(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
            const timespec& until) {
  static auto* const wait = next<decltype(::pthread_cond_clockwait)>("pthread_cond_clockwait");
  const auto& c = clocks();
  for (;;) {
    auto left = nanoseconds(until) - c.now(clock);
    if (left <= 0) return ETIMEDOUT;
    left = c.shorter(left);
    if (Clocks::is_wall(clock)) left = std::min(left, slice);
    const auto real = spec(c.real(CLOCK_MONOTONIC) + left);
    const int result = wait(condition, mutex, CLOCK_MONOTONIC, &real);
    if (result != ETIMEDOUT) return result;
  }
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const auto& c = clocks();
  if (!Clocks::is_ours(clock)) return c.read(clock, now);
  *now = spec(c.now(clock));
  return 0;
}

int gettimeofday(timeval* now, void*) noexcept {
  const auto t = clocks().now(CLOCK_REALTIME);
  *now = {t / second, t % second / 1000};
  return 0;
}

time_t time(time_t* now) noexcept {
  const time_t t = clocks().now(CLOCK_REALTIME) / second;
  if (now != nullptr) *now = t;
  return t;
}

int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                           const timespec* until) {
  return wait_on(condition, mutex, CLOCK_REALTIME, *until);
}

int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                           const timespec* until) {
  return wait_on(condition, mutex, clock, *until);
}

int poll(pollfd* descriptors, nfds_t count, int timeout) {
  static auto* const real = next<decltype(::poll)>("poll");
  const auto shorter = clocks().shorter(Nanoseconds{timeout} * 1'000'000) / 1'000'000;
  return real(descriptors, count, timeout <= 0 ? timeout : std::max(1, static_cast<int>(shorter)));
}

int select(int count, fd_set* read, fd_set* write, fd_set* except, timeval* timeout) {
  static auto* const real = next<decltype(::select)>("select");
  if (timeout == nullptr) return real(count, read, write, except, timeout);
  const auto shorter = clocks().shorter(timeout->tv_sec * second + timeout->tv_usec * 1000);
  timeval scaled{shorter / second, shorter % second / 1000};
  return real(count, read, write, except, &scaled);
}

int nanosleep(const timespec* wait, timespec* left) {
  static auto* const real = next<decltype(::nanosleep)>("nanosleep");
  const auto scaled = clocks().shorter(*wait);
  return real(&scaled, left);
}

int usleep(useconds_t wait) {
  const auto scaled = spec(Nanoseconds{wait} * 1000);
  return nanosleep(&scaled, nullptr);
}

int clock_nanosleep(clockid_t clock, int flags, const timespec* wait, timespec* left) {
  static auto* const real = next<decltype(::clock_nanosleep)>("clock_nanosleep");
  const auto& c = clocks();
  auto length = nanoseconds(*wait);
  if ((flags & TIMER_ABSTIME) != 0) length -= c.now(clock);
  const auto scaled = spec(std::max<Nanoseconds>(0, c.shorter(length)));
  return real(CLOCK_MONOTONIC, 0, &scaled, left);
}

int sigtimedwait(const sigset_t* signals, siginfo_t* which, const timespec* wait) {
  static auto* const real = next<decltype(::sigtimedwait)>("sigtimedwait");
  if (wait == nullptr) return real(signals, which, nullptr);
  const auto scaled = clocks().shorter(*wait);
  return real(signals, which, &scaled);
}

}  // extern "C"
