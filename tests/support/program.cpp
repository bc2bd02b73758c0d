#include "tests/support/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace millwright::test {
namespace {

constexpr std::chrono::seconds longest{60};

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) fail("pipe2");
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void close_end(std::size_t end) {
    if (ends_[end] >= 0) ::close(ends_[end]);
    ends_[end] = -1;
  }

 private:
  std::array<int, 2> ends_{-1, -1};
};

std::vector<std::string> environment_of(const Call& call) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!call.environment.contains(text.substr(0, text.find('=')))) all.push_back(text);
  }
  for (const auto& [name, value] : call.environment) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// Appends what is there; false at the end.
bool drain(int fd, std::string& out) {
  std::array<char, 65536> buffer;
  const auto got = ::read(fd, buffer.data(), buffer.size());
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  out.append(buffer.data(), static_cast<std::size_t>(got));
  return got > 0;
}

// Feeds and drains at once: neither side waits for the other.
void talk(Pipe& in, Pipe& out, Pipe& err, std::string_view input, Finished& finished, pid_t child) {
  const auto deadline = std::chrono::steady_clock::now() + longest;
  ::fcntl(in.writer(), F_SETFL, O_NONBLOCK);
  bool out_open = true, err_open = true;
  while (out_open || err_open) {
    if (input.empty()) in.close_end(1);
    std::array<pollfd, 3> fds{pollfd{out_open ? out.reader() : -1, POLLIN, 0},
                              pollfd{err_open ? err.reader() : -1, POLLIN, 0},
                              pollfd{in.writer(), POLLOUT, 0}};
    ::poll(fds.data(), fds.size(), 100);
    if (fds[0].revents != 0) out_open = drain(out.reader(), finished.out);
    if (fds[1].revents != 0) err_open = drain(err.reader(), finished.err);
    if (fds[2].revents != 0) {
      const auto written = ::write(in.writer(), input.data(), input.size());
      // A program that does not read all of its input may well end well.
      if (written < 0 && errno != EAGAIN && errno != EINTR) input = {};
      if (written > 0) input.remove_prefix(static_cast<std::size_t>(written));
    }
    if (std::chrono::steady_clock::now() > deadline) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
      throw std::runtime_error("the program runs for more than a minute");
    }
  }
}

}  // namespace

Finished run_program(const Call& call) {
  ::signal(SIGPIPE, SIG_IGN);
  std::vector<std::string> arguments{call.program};
  arguments.insert(arguments.end(), call.arguments.begin(), call.arguments.end());
  auto environment = environment_of(call);
  const auto argv = pointers(arguments);
  const auto envp = pointers(environment);
  Pipe in, out, err;
  const pid_t child = ::fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    ::signal(SIGPIPE, SIG_DFL);
    ::dup2(in.reader(), STDIN_FILENO);
    ::dup2(call.out_file.empty() ? out.writer() : ::open(call.out_file.c_str(), O_WRONLY),
           STDOUT_FILENO);
    ::dup2(err.writer(), STDERR_FILENO);
    ::execve(call.program.c_str(), argv.data(), envp.data());
    ::_exit(127);
  }
  in.close_end(0);
  out.close_end(1);
  err.close_end(1);
  Finished finished;
  talk(in, out, err, call.input, finished, child);
  int status = 0;
  if (::waitpid(child, &status, 0) != child) fail("waitpid");
  finished.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return finished;
}

}  // namespace millwright::test
