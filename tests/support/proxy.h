// A TCP connection's bad days: a proxy on loopback in front of a server, which can cut, stall,
// delay and slow down what goes through.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace millwright::test {

// Thread rule: any thread.
class Proxy {
 public:
  // To 127.0.0.1:`port`. Throws std::system_error when no socket can be had.
  explicit Proxy(std::uint16_t port);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  std::uint16_t port() const { return port_; }
  std::string mqtt_url() const { return "mqtt://127.0.0.1:" + std::to_string(port_); }

  // As when a cable is pulled: nothing passes in either direction, nobody is told, new connections
  // get no answer. With false what waited goes on.
  void stall(bool on) { stalled_ = on; }
  // Ends every connection there is; the next one is let through. Returns how many it ended.
  std::size_t cut();
  // New connections are ended at once, as where nobody listens.
  void refuse(bool on) { refusing_ = on; }
  // What passes from now on comes this much later.
  void delay(std::chrono::milliseconds by) { delay_ = by.count(); }
  // Bytes a second in each direction of a connection; 0: as many as come.
  void limit(std::uint32_t bytes_a_second) { rate_ = bytes_a_second; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Chunk {
    Clock::time_point due;
    std::string bytes;
  };
  struct Way {
    std::deque<Chunk> chunks;
    std::size_t waiting = 0;        // bytes in `chunks`
    Clock::time_point free_from{};  // when the line has carried what is in `chunks`
  };
  struct Connection {
    int client = -1, server = -1;
    Way up, down;
    bool over = false;
  };

  void run();
  void accept_one();
  void take(Connection& connection, int from, Way& way);
  void pass(Connection& connection, int to, Way& way);
  void forget_what_is_over();

  const std::uint16_t target_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::atomic<bool> over_{false}, stalled_{false}, refusing_{false};
  std::atomic<std::int64_t> delay_{0};
  std::atomic<std::uint32_t> rate_{0};
  std::atomic<std::uint64_t> cuts_asked_{0}, cuts_done_{0};
  std::atomic<std::size_t> last_cut_{0};
  std::vector<std::unique_ptr<Connection>> connections_;  // of the thread
  std::thread thread_;
};

}  // namespace millwright::test
