#include "tests/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "tests/support/temporary.h"

extern char** environ;

namespace millwright::test {
namespace {

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

bool wait_until(const std::function<bool()>& condition, std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return condition();
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  return true;
}

std::filesystem::path find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  std::istringstream folders{std::string{path == nullptr ? "" : path} +
                             ":/usr/sbin:/usr/local/sbin:/usr/bin"};
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::filesystem::path candidate = std::filesystem::path{folder} / name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  throw std::runtime_error{"the program " + name + " is not installed"};
}

ChildProcess::ChildProcess(std::vector<std::string> command, std::filesystem::path output,
                           const std::vector<std::pair<std::string, std::string>>& environment)
    : output_(std::move(output)) {
  command.at(0) = find_program(command.at(0)).string();
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    bool replaced = false;
    for (const auto& added : environment)
      replaced = replaced || text.starts_with(added.first + "=");
    if (!replaced) variables.push_back(text);
  }
  for (const auto& added : environment) variables.push_back(added.first + "=" + added.second);
  const std::vector<char*> arguments = pointers(command), variable_list = pointers(variables);

  const int out = ::open(output_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (out < 0) throw std::system_error{errno, std::generic_category(), output_.string()};
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    // Only async-signal-safe calls from here.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execve(arguments[0], arguments.data(), variable_list.data());
    ::_exit(127);
  }
  const int error = errno;
  ::close(out);
  if (pid_ < 0) throw std::system_error{error, std::generic_category(), command[0]};
}

ChildProcess::~ChildProcess() {
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool ChildProcess::running() { return !wait(std::chrono::milliseconds{0}); }

void ChildProcess::signal(int number) {
  // A pid that was reaped may belong to somebody else by now.
  if (running()) ::kill(pid_, number);
}

std::optional<Exit> ChildProcess::wait(std::chrono::milliseconds deadline) {
  if (exit_) return exit_;
  const int handle = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (handle < 0) throw std::system_error{errno, std::generic_category(), "pidfd_open"};
  pollfd ended{handle, POLLIN, 0};
  const int ready = ::poll(&ended, 1, static_cast<int>(deadline.count()));
  ::close(handle);
  if (ready <= 0) return std::nullopt;
  int status = 0;
  if (::waitpid(pid_, &status, 0) != pid_)
    throw std::system_error{errno, std::generic_category(), "waitpid"};
  exit_ = WIFEXITED(status) ? Exit{WEXITSTATUS(status), 0} : Exit{-1, WTERMSIG(status)};
  return exit_;
}

std::string ChildProcess::output() const { return read_file(output_); }

std::pair<Exit, std::string> run(std::vector<std::string> command,
                                 std::chrono::milliseconds deadline) {
  const TemporaryDirectory directory;
  const std::string name = command.at(0);
  ChildProcess child{std::move(command), directory / "output"};
  const auto ended = child.wait(deadline);
  if (!ended) throw std::runtime_error{name + " did not end: " + child.output()};
  return {*ended, child.output()};
}

}  // namespace millwright::test
