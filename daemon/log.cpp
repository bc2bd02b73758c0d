#include "daemon/log.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "daemon/printable.h"

namespace millwright::daemon {
namespace {

// Sentences are constant texts, so there are few; should one hold something variable, memory stays
// bounded.
constexpr std::size_t most_sentences = 1000;

// A value is quoted when a reader could not tell where it ends.
std::string value_text(std::string_view value) {
  auto text = printable(value);
  if (!text.empty() && text.find_first_of(" =\"") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted.push_back('\\');
    quoted.push_back(c);
  }
  return quoted + '"';
}

void write_to_stderr(std::string_view line) {
  while (!line.empty()) {
    const auto written = ::write(STDERR_FILENO, line.data(), line.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // there is nowhere left to say so
    line.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

bool is_journal(int fd, const char* journal_stream) {
  struct stat status {};
  if (journal_stream == nullptr || ::fstat(fd, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == journal_stream;
}

LogOptions log_to_stderr() {
  LogOptions options;
  options.write = write_to_stderr;
  options.priorities = is_journal(STDERR_FILENO, std::getenv("JOURNAL_STREAM"));
  return options;
}

Log::~Log() {
  for (const auto& [sentence, repeated] : repeated_) {
    if (repeated.held_back > 0) write(repeated.level, repeated.line, repeated.held_back);
  }
}

void Log::flush() {
  const std::lock_guard lock{mutex_};
  const auto now = options_.now();
  for (auto it = repeated_.begin(); it != repeated_.end();) {
    auto& repeated = it->second;
    if (now - repeated.said < options_.interval) {
      ++it;
    } else if (repeated.held_back == 0) {
      it = repeated_.erase(it);
    } else {
      write(repeated.level, repeated.line, std::exchange(repeated.held_back, 0));
      repeated.said = now;
      ++it;
    }
  }
}

void Log::say(Level level, std::string_view sentence, Fields fields) {
  std::string line{sentence};
  for (const auto& field : fields) {
    line += fmt::format(" {}={}", field.key, value_text(field.value));
  }
  const std::lock_guard lock{mutex_};
  const auto now = options_.now();
  const auto it = repeated_.find(sentence);
  if (it == repeated_.end()) {
    if (repeated_.size() < most_sentences) {
      repeated_.emplace(sentence,
                        Repeated{.said = now, .held_back = 0, .level = level, .line = {}});
    }
    return write(level, line, 0);
  }
  auto& repeated = it->second;
  repeated.level = level;
  if (now - repeated.said < options_.interval) {
    ++repeated.held_back;
    repeated.line = std::move(line);
    return;
  }
  write(level, line, std::exchange(repeated.held_back, 0));
  repeated.said = now;
}

void Log::write(Level level, std::string_view line, std::uint64_t times_more) {
  struct Prefix {
    std::string_view journal, plain;
  };
  static constexpr Prefix prefixes[] = {
      {"<6>", "info: "}, {"<4>", "warning: "}, {"<3>", "error: "}};
  const auto& prefix = prefixes[static_cast<std::size_t>(level)];
  const auto more = times_more == 0 ? std::string{}
                                    : fmt::format(" ({} {} more)", times_more,
                                                  times_more == 1 ? "time" : "times");
  options_.write(
      fmt::format("{}{}{}\n", options_.priorities ? prefix.journal : prefix.plain, line, more));
}

}  // namespace millwright::daemon
