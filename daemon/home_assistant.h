// Machines as devices of Home Assistant: what is announced by MQTT discovery, and how each machine
// is. For its users: docs/home-assistant.md.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/alert.h"
#include "core/health.h"
#include "core/settings.h"
#include "storage/archive.h"

namespace millwright::daemon {

// Stable, and another one for every pair of topic root and machine; letters, digits, - and _.
std::string home_assistant_id(std::string_view root, std::string_view machine);

struct HomeAssistantTopics {
  std::string discovery, condition;
};
HomeAssistantTopics home_assistant_topics(std::string_view prefix, std::string_view root,
                                          std::string_view machine);

// The discovery document of one machine, device-based: one line of JSON.
std::string discovery_document(std::string_view root, std::string_view machine,
                               std::string_view version);

// An open case of a machine.
struct OpenCase {
  AlertKind kind{};
  Severity severity{};
  std::string message;
};
struct MachineCondition {
  std::map<std::string, OpenCase> cases;  // by id
  std::optional<double> health;
  friend bool operator==(const MachineCondition&, const MachineCondition&);
};
// What the entities show, one line of JSON.
std::string condition_document(const MachineCondition& condition);

// Which machines are announced, and how they are. What was announced is kept in a file, so that it
// can be taken back. Thread rule: one thread.
class HomeAssistant {
 public:
  struct Options {
    HomeAssistantSettings settings;
    std::string root, version;
    std::filesystem::path file;  // <state_directory>/home-assistant.json
  };
  // Reads the file; what cannot be read counts as nothing announced, and `problem` says so.
  explicit HomeAssistant(Options options);

  const std::optional<std::string>& problem() const { return problem_; }
  bool enabled() const { return options_.settings.enabled; }

  // A machine has sent something at that time.
  void heard(std::string_view machine, Timestamp time);
  void follow(const Alert& alert);
  void follow(std::string_view machine, std::optional<double> health);
  // The cases that are open now, in place of those known so far.
  void cases(const std::vector<storage::Archive::OpenAlert>& open);

  // What is to be published since the last time; `all`: everything that is announced.
  std::vector<storage::OutboxRow> news(bool all = false);
  // What is to be taken back: empty retained messages, by which Home Assistant forgets the machine.
  // Each once; when they are safe, `taken_back` says so.
  std::vector<storage::OutboxRow> withdrawals();
  bool takes_back() const { return !handed_.empty(); }
  void taken_back() { handed_.clear(); }

  // Does the file say what is announced?
  bool unsaved() const { return unsaved_; }
  // Throws std::system_error.
  void save();
  // The same as work for another thread, which throws likewise; empty: nothing to save. When it
  // failed, `not_saved` says so.
  std::function<void()> saving();
  void not_saved() { unsaved_ = true; }

 private:
  struct Machine {
    Timestamp heard;
    MachineCondition condition;
    std::string published;   // condition, as it was last
    bool announced = false;  // by this run
  };
  void read();
  void forget_the_silent();

  const Options options_;
  std::optional<std::string> problem_;
  std::map<std::string, Machine, std::less<>> machines_;
  std::set<std::string> withdrawn_, handed_;  // topics
  std::set<std::string, std::less<>> changed_;
  Timestamp newest_{}, checked_{};
  bool unsaved_ = false;
};

}  // namespace millwright::daemon
