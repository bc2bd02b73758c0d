// Child processes of a test, and waiting for what other threads and processes do.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace millwright::test {

// Looks at the condition every few milliseconds. False when it did not hold within `deadline`.
bool wait_until(const std::function<bool()>& condition,
                std::chrono::milliseconds deadline = std::chrono::seconds{10});

// Where `name` stands in PATH or in the system's directories for servers; throws std::runtime_error
// when nowhere.
std::filesystem::path find_program(const std::string& name);

struct Exit {
  int code = -1;   // exit code; -1 when a signal ended it
  int signal = 0;  // that signal
};

// A program that runs beside the test. It dies with the test program, whatever ends that.
// Thread rule: one thread; start it from a thread that outlives it.
class ChildProcess {
 public:
  // `command`: program (a path, or a name for find_program) and arguments. Its standard output and
  // error go to `output`, appended. `environment`: added to the test's own. Throws
  // std::system_error when it cannot be started.
  ChildProcess(std::vector<std::string> command, std::filesystem::path output,
               const std::vector<std::pair<std::string, std::string>>& environment = {});
  ~ChildProcess();  // kill -9 when it still runs
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  bool running();
  void signal(int number);
  // How it ended; nothing when it still runs after `deadline`.
  std::optional<Exit> wait(std::chrono::milliseconds deadline = std::chrono::seconds{10});
  // All that it has written so far.
  std::string output() const;

 private:
  pid_t pid_ = -1;
  std::filesystem::path output_;
  std::optional<Exit> exit_;
};

// Runs a command to its end and returns how it ended and what it wrote. Throws std::runtime_error
// after `deadline`.
std::pair<Exit, std::string> run(std::vector<std::string> command,
                                 std::chrono::milliseconds deadline = std::chrono::seconds{30});

}  // namespace millwright::test
