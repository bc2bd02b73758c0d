// The log of the daemon: one sentence plus key=value pairs, to standard error.
//
//   log.warning("The broker cannot be reached", {{"url", url}, {"retry_s", 4}});
//   journal:  <4>The broker cannot be reached url=tcp://10.0.0.5:1883 retry_s=4
//   else:     warning: The broker cannot be reached url=tcp://10.0.0.5:1883 retry_s=4
//
// info: what the daemon does with its life. warning: unexpected, nothing lost. error: data lost or
// a person is needed. Never one line per reading. The sentence is constant text, what varies stands
// in the pairs: a sentence that comes again within `interval` is only counted, and the count goes
// out with the next one or with `flush`.
#pragma once

#include <charconv>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace millwright::daemon {

struct LogField {
  std::string_view key;
  std::string value;

  template <class T>
  requires std::convertible_to<const T&, std::string_view> LogField(std::string_view k, const T& v)
      : key(k), value(std::string_view(v)) {}
  template <class T>
  requires std::integral<T> || std::floating_point<T> LogField(std::string_view k, T v)
      : key(k), value(text_of(v)) {}

 private:
  static std::string text_of(bool v) { return v ? "true" : "false"; }
  static std::string text_of(auto v) {
    char digits[32];
    return {digits, std::to_chars(digits, digits + sizeof digits, v).ptr};
  }
};

struct LogOptions {
  // Takes one whole line, newline included; called under the log's lock.
  std::function<void(std::string_view)> write;
  bool priorities = false;  // lines begin with <n> for journald instead of the level's name
  std::chrono::steady_clock::duration interval = std::chrono::seconds{10};
  std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
};

// Is `fd` the stream to journald that $JOURNAL_STREAM (`journal_stream`, may be null) names as
// device:inode?
bool is_journal(int fd, const char* journal_stream);

// Standard error, with priorities when journald listens.
LogOptions log_to_stderr();

// Thread rule: any thread may call anything.
class Log {
 public:
  explicit Log(LogOptions options) : options_(std::move(options)) {}
  ~Log();  // flushes
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  using Fields = std::initializer_list<LogField>;
  void info(std::string_view sentence, Fields fields = {}) { say(Level::info, sentence, fields); }
  void warning(std::string_view sentence, Fields fields = {}) {
    say(Level::warning, sentence, fields);
  }
  void error(std::string_view sentence, Fields fields = {}) { say(Level::error, sentence, fields); }

  // Says what was held back for longer than `interval`; call it every few seconds.
  void flush();

 private:
  enum class Level : std::uint8_t { info, warning, error };
  struct Repeated {
    std::chrono::steady_clock::time_point said;
    std::uint64_t held_back = 0;
    Level level{};
    std::string line;  // the newest of those held back
  };

  void say(Level level, std::string_view sentence, Fields fields);
  void write(Level level, std::string_view line, std::uint64_t times_more);

  const LogOptions options_;
  std::mutex mutex_;
  std::map<std::string, Repeated, std::less<>> repeated_;  // by sentence
};

}  // namespace millwright::daemon
