#include "tests/support/proxy.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include "tests/support/loopback.h"
#include "tests/support/process.h"

namespace millwright::test {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_waiting = 64 << 10;  // of one direction; then its sender has to wait

// The other side sees a reset, as of a connection that broke.
void reset(int socket) {
  const linger at_once{1, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(socket);
}

}  // namespace

Proxy::Proxy(std::uint16_t port) : target_(port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::system_error{errno, std::generic_category(), "a proxy's socket"};
  port_ = ntohs(address.sin_port);
  thread_ = std::thread{[this] { run(); }};
}

Proxy::~Proxy() {
  over_ = true;
  thread_.join();
  ::close(listener_);
}

std::size_t Proxy::cut() {
  const auto mine = ++cuts_asked_;
  wait_until([&] { return cuts_done_ >= mine; });
  return last_cut_;
}

void Proxy::run() {
  while (!over_) {
    std::vector<pollfd> polls{{listener_, static_cast<short>(stalled_ ? 0 : POLLIN), 0}};
    for (const auto& c : connections_) {
      const bool closed_to = stalled_;
      const auto reads = [&](const Way& way) {
        return static_cast<short>(closed_to || way.waiting >= most_waiting ? 0 : POLLIN);
      };
      polls.push_back({c->client, reads(c->up), 0});
      polls.push_back({c->server, reads(c->down), 0});
    }
    ::poll(polls.data(), polls.size(), 2);
    if (cuts_asked_ > cuts_done_) {
      last_cut_ = connections_.size();
      for (auto& c : connections_) c->over = true;
      forget_what_is_over();
      cuts_done_ = cuts_asked_.load();
      continue;
    }
    if (stalled_) continue;
    const auto before = connections_.size();
    for (std::size_t i = 0; i < before; ++i) {
      auto& c = *connections_[i];
      if (polls[1 + 2 * i].revents != 0) take(c, c.client, c.up);
      if (polls[2 + 2 * i].revents != 0) take(c, c.server, c.down);
      pass(c, c.server, c.up);
      pass(c, c.client, c.down);
    }
    if (polls[0].revents != 0) accept_one();
    forget_what_is_over();
  }
  for (auto& c : connections_) c->over = true;
  forget_what_is_over();
}

void Proxy::accept_one() {
  const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (client < 0) return;
  // Given up while the line was dead: what it had sent was lost with it.
  pollfd gone{client, POLLRDHUP, 0};
  if (refusing_ || ::poll(&gone, 1, 0) > 0) return reset(client);
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(target_);
  if (server < 0 ||
      ::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    // The server is not there: neither are we.
    if (server >= 0) ::close(server);
    return reset(client);
  }
  ::fcntl(server, F_SETFL, O_NONBLOCK);
  auto& connection = *connections_.emplace_back(std::make_unique<Connection>());
  connection.client = client;
  connection.server = server;
}

void Proxy::take(Connection& connection, int from, Way& way) {
  std::array<char, 16384> buffer;
  const std::uint32_t rate = rate_;
  // Small steps on a slow line, so that it is slow all the time and not in bursts.
  const auto most = rate == 0 ? buffer.size() : std::min<std::size_t>(buffer.size(), rate / 10 + 1);
  const auto size = ::recv(from, buffer.data(), most, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) {
    connection.over = true;
    return;
  }
  const auto now = Clock::now();
  way.free_from = std::max(way.free_from, now);
  if (rate > 0) way.free_from += std::chrono::microseconds{size * 1'000'000 / rate};
  way.chunks.push_back({way.free_from + std::chrono::milliseconds{delay_.load()},
                        std::string(buffer.data(), static_cast<std::size_t>(size))});
  way.waiting += static_cast<std::size_t>(size);
}

void Proxy::pass(Connection& connection, int to, Way& way) {
  while (!way.chunks.empty() && way.chunks.front().due <= Clock::now()) {
    auto& bytes = way.chunks.front().bytes;
    const auto sent = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN && errno != EINTR) connection.over = true;
      return;
    }
    way.waiting -= static_cast<std::size_t>(sent);
    bytes.erase(0, static_cast<std::size_t>(sent));
    if (!bytes.empty()) return;
    way.chunks.pop_front();
  }
}

void Proxy::forget_what_is_over() {
  std::erase_if(connections_, [](const auto& c) {
    if (!c->over) return false;
    reset(c->client);
    reset(c->server);
    return true;
  });
}

}  // namespace millwright::test
