#include "daemon/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "config/config.h"
#include "core/check.h"
#include "daemon/broker_access.h"
#include "daemon/clock.h"
#include "daemon/command.h"
#include "daemon/command_document.h"
#include "daemon/documents.h"
#include "daemon/lane.h"
#include "daemon/move_lanes.h"
#include "daemon/notify.h"
#include "daemon/open_shard.h"
#include "daemon/paths.h"
#include "daemon/printable.h"
#include "daemon/publisher.h"
#include "daemon/quarantine.h"
#include "daemon/right_clock.h"
#include "daemon/shard.h"
#include "daemon/version.h"
#include "daemon/writer.h"
#include "ingest/decoder.h"
#include "ingest/journal.h"
#include "ingest/session.h"

namespace millwright::daemon {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto tick_interval = 1s;
constexpr auto status_interval = 5s;
constexpr std::string_view drops_topic = "$SYS/broker/publish/messages/dropped";  // of mosquitto
// How long the MQTT thread waits for room in a lane's journal before it sheds: a slow card takes
// seconds to sync a checkpoint, and the broker keeps what comes meanwhile. Well below the
// keep-alive, for nothing is sent to the broker in that time.
constexpr auto journal_patience = 5s;
constexpr auto publish_patience = 2s;  // at the end, for alerts still on their way
constexpr auto disconnect_patience = 3s;
// How long nothing may be heard from the MQTT threads. While connected, the broker acknowledges our
// status every few seconds, and Paho itself gives up a connection that is dead after one and a half
// keep-alives. While not, every try to connect ends within a minute.
constexpr auto longest_silence_connected = 45s;
constexpr auto longest_silence_offline = 180s;

// Holds the state directory for this process alone.
class DirectoryLock {
 public:
  explicit DirectoryLock(const fs::path& directory) {
    const auto file = directory / "lock";
    descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    // A card that the kernel made read-only after a power cut: what was learned can be read.
    if (descriptor_ < 0 && errno == EROFS) descriptor_ = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) {
      throw Failure{exit_io,
                    fmt::format("the state directory {} cannot be written: {}", directory.string(),
                                std::generic_category().message(errno))};
    }
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      ::close(descriptor_);
      throw Failure{
          exit_io,
          fmt::format("another Millwright uses the state directory {}; stop it, or give this one a "
                      "state_directory of its own",
                      directory.string())};
    }
  }
  ~DirectoryLock() { ::close(descriptor_); }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  int descriptor_ = -1;
};

fs::path journal_directory(const config::Configuration& configuration) {
  if (!configuration.processing.journal_directory.empty())
    return configuration.processing.journal_directory;
  const char* runtime = std::getenv("RUNTIME_DIRECTORY");
  if (runtime != nullptr && *runtime != '\0')
    return std::string{runtime}.substr(0, std::string{runtime}.find(':'));
  return state_directory(configuration) / "journal";
}

void make_directory(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) {
    throw Failure{exit_io, fmt::format("cannot make the directory {}: {}", directory.string(),
                                       error.message())};
  }
}

void log_problems(Log& log, const std::vector<config::Problem>& problems) {
  // The place stands in the sentence: every problem is a sentence of its own, none is held back as
  // repeated.
  for (const auto& problem : problems) {
    const auto text = config::to_string(problem);
    problem.level == config::Problem::Level::error ? log.error(text) : log.warning(text);
  }
}

// A lane with all that belongs to it. The order is that of construction: what is used by a later
// one stands first.
struct LaneParts {
  std::unique_ptr<ingest::Journal> journal;
  std::unique_ptr<Quarantine> quarantine;
  std::unique_ptr<Shard> shard;
  std::unique_ptr<Lane> lane;
  std::vector<std::string> archived;  // see OpenedShard
  bool sheds = false;  // of the MQTT thread: its journal was full when a message came last
};

class Daemon {
 public:
  Daemon(fs::path config_file, config::Loaded loaded, Log& log)
      : config_file_(std::move(config_file)),
        log_(log),
        text_(std::move(loaded.text)),
        configuration_(std::move(*loaded.configuration)),
        state_directory_(made(state_directory(configuration_))),
        lock_(state_directory_),
        root_(topic_root(configuration_)),
        started_(wall_clock()) {
    const LaneFiles files{state_directory_, made(journal_directory(configuration_))};
    const auto lanes = configuration_.processing.lanes;
    finish_move(files, log_);
    const auto before = lanes_before(files).value_or(lanes);
    open_publisher();
    open_writer(std::max(lanes, before));
    if (before != lanes) {
      move_lanes(files, before, lanes, configuration_.processing.journal_bytes, text_, *writer_,
                 log_);
    }
    open_lanes(files);
    open_session();
  }

  void run() {
    writer_->start();
    for (auto& parts : lanes_) parts.lane->start();
    start_syncing();
    publisher_->start([this](const ingest::Outgoing& message, std::uint64_t tag) {
      return session_->publish(message, tag);
    });
    session_->start();
    notify_ready(status_line());
    log_.info("Millwright runs", {{"version", version()},
                                  {"config", config_file_.string()},
                                  {"broker", configuration_.broker.url},
                                  {"inputs", configuration_.inputs.size()},
                                  {"lanes", lanes_.size()},
                                  {"sensors_known", totals().sensors}});
    supervise();
    stop();
  }

 private:
  static fs::path made(fs::path directory) {
    make_directory(directory);
    return directory;
  }

  // --- putting it together ---

  void open_writer(std::uint32_t lanes) {
    WriterOptions options;
    if (configuration_.archive.enabled) options.archive = archive_file(configuration_);
    options.bounds = {configuration_.archive.max_megabytes * std::uint64_t{1'000'000},
                      configuration_.archive.keep_days};
    options.state_directory = state_directory_;
    options.site = configuration_.site;
    options.topic_root = root_;
    options.home_assistant = configuration_.home_assistant;
    options.lanes = lanes;
    options.runtime_directory = journal_directory(configuration_);
    WriterHandlers handlers;
    handlers.publish = [this](std::vector<storage::OutboxRow> rows) {
      publisher_->enqueue(std::move(rows));
    };
    handlers.refill = [this](std::uint64_t after, std::vector<storage::OutboxRow> rows,
                             bool complete) {
      publisher_->refill(after, std::move(rows), complete);
    };
    handlers.checkpointed = [this](std::uint32_t lane, Position position, bool ok) {
      lanes_[lane].lane->checkpointed(position, ok);
    };
    writer_ = std::make_unique<ArchiveWriter>(std::move(options), std::move(handlers), log_);
  }

  void open_lanes(const LaneFiles& files) {
    auto newest = wall_clock();
    bool known = false;
    for (std::uint32_t number = 0; number < configuration_.processing.lanes; ++number) {
      auto parts = open_lane(number, files);
      const auto last = std::max(parts.journal->last_arrival(), parts.shard->last_arrival());
      if (last != Timestamp{}) {
        newest = known ? std::max(newest, last) : last;
        known = true;
      }
      lanes_.push_back(std::move(parts));
    }
    time_.emplace(newest);
    for (std::uint32_t number = 0; auto& parts : lanes_) {
      // Where the journal or the checkpoint ends with another configuration, this one begins here.
      const bool same = parts.shard->position() > 0 && parts.shard->text() == text_;
      if (!same || parts.journal->unread_bytes() > 0) append_configuration(*parts.journal);
      catch_up(number++, parts);
    }
    router_ = std::make_unique<ingest::LaneRouter>(configuration_.inputs,
                                                   configuration_.processing.lanes);
  }

  bool syncs_journals() const {
    const auto& processing = configuration_.processing;
    return !processing.journal_directory.empty() && processing.journal_sync > Duration{0};
  }

  // A thread of its own: a memory card may take seconds, in which the lanes go on.
  void start_syncing() {
    if (!syncs_journals()) return;
    std::vector<ingest::Journal*> journals;
    for (const auto& parts : lanes_) journals.push_back(parts.journal.get());
    syncer_ = std::jthread{[this, journals](const std::stop_token& stop) {
      std::mutex mutex;
      std::condition_variable_any ends;
      std::unique_lock lock{mutex};
      const auto interval = configuration_.processing.journal_sync;
      while (!ends.wait_for(lock, stop, interval, [&] { return stop.stop_requested(); })) {
        std::string why;
        for (auto* journal : journals) sync(*journal, why);
        writer_->journals_synced(std::move(why));
      }
    }};
  }

  void sync(ingest::Journal& journal, std::string& why) {
    try {
      journal.sync();
    } catch (const std::system_error& error) {
      why = error.what();
      log_.error("A power cut would lose readings: a journal is not on its disk", {{"why", why}});
    }
  }

  LaneParts open_lane(std::uint32_t number, const LaneFiles& files) {
    LaneParts parts;
    parts.quarantine = std::make_unique<Quarantine>(quarantine_file(state_directory_, number),
                                                    configuration_.limits.quarantine_messages);
    if (const auto lines = parts.quarantine->load(); lines > 0) {
      log_.warning("Lines of the quarantine file could not be read",
                   {{"lane", number}, {"lines", lines}});
    }
    auto opened = open_shard(number, files, configuration_.processing.journal_bytes, text_,
                             machines_, parts.quarantine.get(), *writer_, log_);
    parts.journal = std::move(opened.journal);
    parts.shard = std::move(opened.shard);
    parts.archived = std::move(opened.archived);
    if (syncs_journals()) parts.journal->keep_on_disk();
    const auto position = parts.shard->position();
    parts.journal->start_after(std::max(position, writer_->applied(number)));
    parts.lane = std::make_unique<Lane>(number, *parts.journal, *parts.shard, *parts.quarantine,
                                        *writer_, log_);
    if (opened.records > 0 || position > 0) {
      log_.info("A lane goes on where it stopped", {{"lane", number},
                                                    {"checkpoint", position},
                                                    {"journal_records", opened.records},
                                                    {"sensors", parts.shard->figures().sensors}});
    }
    return parts;
  }

  ingest::Record record_now(ingest::RecordKind kind) {
    ingest::Record record;
    record.kind = kind;
    record.received = received_.now();
    record.arrival = time_->now();
    return record;
  }

  ingest::Record configuration_record(const std::string& text) {
    auto record = record_now(ingest::RecordKind::configuration);
    record.payload = text;
    return record;
  }

  static Failure no_room_for_configuration() {
    return {exit_config,
            "the configuration does not fit into the journal; raise processing.journal_bytes"};
  }

  void append_configuration(ingest::Journal& journal) {
    if (!journal.append(configuration_record(text_), journal_patience))
      throw no_room_for_configuration();
  }

  void catch_up(std::uint32_t number, const LaneParts& parts) {
    auto record = record_now(ingest::RecordKind::archived);
    for (const auto& payload : parts.archived) {
      record.payload = payload;
      if (parts.journal->append(record, journal_patience)) continue;
      log_.error("The journal has no room for the alerts of the archive",
                 {{"lane", number}, {"bytes", payload.size()}});
      return;
    }
  }

  void open_publisher() {
    Publisher::Handlers handlers;
    handlers.delivered = [this](std::uint64_t sequence) { writer_->delivered(sequence); };
    handlers.reload = [this](std::uint64_t after) { writer_->reload_outbox(after); };
    publisher_ = std::make_unique<Publisher>("/" + root_, std::move(handlers));
  }

  void open_session() {
    ingest::SessionOptions options;
    options.broker = configuration_.broker;
    if (options.broker.client_id.empty())
      options.broker.client_id = "millwright-" + configuration_.site;
    try {
      options.password = broker_password(configuration_.broker);
    } catch (const std::runtime_error& error) {
      throw Failure{exit_config, error.what()};
    }
    options.subscriptions =
        subscriptions_of(ingest::Decoder{configuration_.inputs, configuration_.limits});
    options.will = status_message(false);
    options.birth = status_message(true);
    ingest::SessionHandlers handlers;
    handlers.message = [this](const ingest::Incoming& message) {
      accept(message);
      ++heard_;
    };
    handlers.event = [this](ingest::SessionEvent event, const std::string& text) {
      on_event(event, text);
      ++heard_;
    };
    handlers.delivered = [this](std::uint64_t tag, bool taken) {
      publisher_->delivered(tag, taken);
      ++heard_;
    };
    handlers.refused = [this](std::uint64_t tag) { publisher_->refused(tag); };
    try {
      session_ = std::make_unique<ingest::Session>(std::move(options), std::move(handlers));
    } catch (const std::runtime_error& error) {
      throw Failure{exit_config, error.what()};
    }
    session_->set_last(status_message(false));
  }

  // --- what comes in ---

  std::vector<ingest::Decoder::Subscription> subscriptions_of(
      const ingest::Decoder& decoder) const {
    auto subscriptions = decoder.subscriptions();
    subscriptions.push_back({command_root_ + '+', 1});
    subscriptions.push_back({std::string{drops_topic}, 0});
    return ingest::without_covered(subscriptions);
  }

  // What Millwright says is no reading of a machine.
  bool is_published_here(std::string_view topic) const {
    if (!topic.starts_with(root_)) return false;
    const auto rest = topic.substr(root_.size());
    return rest == "/status" || rest.starts_with("/event/") || rest.starts_with("/state/");
  }

  // On Paho's thread; the acknowledgement goes out when this returns.
  void accept(const ingest::Incoming& message) {
    auto record = record_now(ingest::RecordKind::message);
    record.flags = (message.retained ? ingest::message_retained : 0) |
                   (message.redelivered ? ingest::message_redelivered : 0);
    record.topic = message.topic;
    record.properties = message.properties;
    if (message.topic.starts_with(command_root_)) return accept_command(message, record);
    if (message.topic == drops_topic) return hear_of_drops(message.payload);
    // Of an input that takes all topics of a plant.
    if (is_published_here(message.topic)) return;
    // Of a payload that is too large, one byte too many is enough for the lane to refuse it under
    // its name.
    record.payload = message.payload.substr(0, payload_bytes_ + std::size_t{1});
    const std::lock_guard lock{intake_mutex_};
    const auto lane = router_->lane(message.topic);
    if (!lane) return count(Reject::unknown_topic);
    auto& parts = lanes_[*lane];
    // A lane that made no room in all that time is not waited for again until it did: the others
    // have the same MQTT thread.
    const auto patience = parts.sheds ? 0ms : std::chrono::milliseconds{journal_patience};
    parts.sheds = !parts.journal->append(record, patience);
    if (parts.sheds) return count(Reject::journal_full);
    ++messages_;
  }

  // The broker's queues are full, of whichever of its clients: nothing else tells that readings are
  // missing. A broker that was started anew counts from 0.
  void hear_of_drops(std::string_view text) {
    std::uint64_t total = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), total);
    if (error != std::errc{} || end != text.data() + text.size()) return;
    const auto before = std::exchange(broker_total_, total);
    if (!before || total == *before) return;
    const auto dropped = total > *before ? total - *before : total;
    broker_dropped_ += dropped;
    log_.warning(
        "The broker has dropped messages, for this or another of its clients: raise "
        "max_queued_messages and max_inflight_messages there",
        {{"dropped", dropped}, {"since_the_start", broker_dropped_.load()}});
  }

  // Every lane hears of it in its place in the journal.
  void accept_command(const ingest::Incoming& message, ingest::Record record) {
    record.kind = ingest::RecordKind::command;
    record.topic = message.topic.substr(command_root_.size());
    if (record.topic == "reply" || record.topic.find('/') != std::string_view::npos)
      return;  // an answer
    const auto to = ingest::encode({message.response_topic, message.correlation});
    record.properties = to;
    record.payload = message.payload.substr(0, most_command_bytes + 1);
    const std::lock_guard lock{intake_mutex_};
    // By this time the lanes know which command it is.
    record.arrival = time_->next();
    // All lanes or none: where one has no room, nobody shall act on it.
    const auto until = Clock::now() + journal_patience;
    for (auto& parts : lanes_) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
      if (!parts.journal->wait_for_room(record, std::max(left, 0ms)))
        return shed_command(message, record);
    }
    bool kept = true;
    for (auto& parts : lanes_) kept = parts.journal->append(record) && kept;
    if (!kept) return shed_command(message, record);
    ++messages_;
  }

  void shed_command(const ingest::Incoming& message, const ingest::Record& record) {
    count(Reject::journal_full);
    auto read = read_command(record.topic, record.payload);
    auto& command = read.command;
    writer_->shed({record.received, printable(record.topic, longest_command_name),
                   std::move(command.by), std::move(command.comment), std::move(command.alert),
                   std::move(command.machine), std::move(command.sensor), command.from, command.to,
                   false,
                   "the journal has no room for it: Millwright does not keep up with the readings, "
                   "or the command is too long. Give it again",
                   0, message.response_topic, message.correlation});
  }

  void count(Reject reason) { ++rejected_[static_cast<std::size_t>(reason)]; }

  // On the session's thread.
  void on_event(ingest::SessionEvent event, const std::string& text) {
    switch (event) {
      case ingest::SessionEvent::connected:
        time_->run();
        log_.info("Connected to the broker",
                  {{"broker", configuration_.broker.url}, {"granted", text}});
        writer_->publish_open_alerts();
        publisher_->connected();
        return;
      case ingest::SessionEvent::disconnected:
        time_->stand_still();
        publisher_->disconnected();
        log_.warning("The connection to the broker is lost", {{"why", text}});
        return;
      case ingest::SessionEvent::connect_failed:
        log_.warning("The broker cannot be reached",
                     {{"broker", configuration_.broker.url}, {"why", text}});
        return;
      case ingest::SessionEvent::subscription_refused:
        if (text.starts_with(drops_topic)) {
          log_.info("The broker does not tell how many messages it drops", {{"what", text}});
          return;
        }
        log_.error("The broker refused a subscription: nothing comes from it", {{"what", text}});
        return;
      case ingest::SessionEvent::publish_refused:
        log_.error("The broker refused a message: nobody hears of it; it is kept and tried again",
                   {{"what", text}});
        return;
      case ingest::SessionEvent::taken_over:
        log_.error(
            "Another client uses our client id; give each Millwright a broker.client_id of its own",
            {{"what", text}});
        return;
      case ingest::SessionEvent::keeps_breaking:
        log_.error(
            "Connections to the broker end soon after they are made; give each Millwright a "
            "broker.client_id of its own, and look at the line",
            {{"what", text}});
        return;
      case ingest::SessionEvent::handler_failed:
        log_.error("A message could not be taken in", {{"why", text}});
        return;
    }
  }

  // --- the supervisor ---

  void supervise() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int s : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, s);
    auto next_tick = Clock::now() + tick_interval, next_status = Clock::now() + status_interval;
    while (true) {
      const auto wait = std::max(Clock::duration{1ms}, next_tick - Clock::now());
      const timespec timeout{static_cast<time_t>(wait / 1s),
                             static_cast<long>(std::chrono::nanoseconds{wait % 1s}.count())};
      const int signal = sigtimedwait(&signals, nullptr, &timeout);
      if (signal == SIGTERM || signal == SIGINT) return;
      if (signal == SIGHUP) reload();
      const auto now = Clock::now();
      if (now < next_tick) continue;
      next_tick = now + tick_interval;
      tick();
      watch();
      log_.flush();
      if (now >= next_status) {
        next_status = now + status_interval;
        session_->publish(status_message(true), status_tag);
      }
    }
  }

  void tick() {
    if (session_->connected()) append_tick();
    notify_status(status_line());
    say_what_was_lost();
  }

  void append_tick() {
    const auto record = record_now(ingest::RecordKind::tick);
    // A full journal loses a tick without harm: the next one says as much.
    for (auto& parts : lanes_) parts.journal->append(record);
  }

  // The watchdog is fed only while the MQTT threads, every lane and the writer make progress.
  void watch() {
    if (!hears()) {
      log_.warning("Nothing has been heard from the threads of MQTT for too long");
      return;
    }
    bool alive = true;
    std::vector<std::uint64_t> beats;
    for (const auto& parts : lanes_) beats.push_back(parts.lane->beats());
    beats.push_back(writer_->figures().beats);
    if (beats_.size() == beats.size()) {
      for (std::size_t i = 0; i < beats.size(); ++i) alive &= beats[i] != beats_[i];
    }
    if (!alive) {
      log_.warning("A thread has made no progress for a second",
                   {{"lanes_and_writer", beats.size()}});
      return;
    }
    beats_ = std::move(beats);
    notify_watchdog();
  }

  bool hears() {
    const auto now = Clock::now();
    if (const auto heard = heard_.load(); heard != heard_before_) {
      heard_before_ = heard;
      heard_at_ = now;
    }
    return now - heard_at_ <=
           (session_->connected() ? longest_silence_connected : longest_silence_offline);
  }

  void say_what_was_lost() {
    const auto full = rejected_[static_cast<std::size_t>(Reject::journal_full)].load();
    if (full > said_full_) {
      log_.error("Messages were shed: the lanes do not keep up and the journal is full",
                 {{"messages", full - said_full_}});
      said_full_ = full;
    }
  }

  void reload() {
    notify_reloading();
    auto loaded = config::load(config_file_);
    log_problems(log_, loaded.problems);
    if (!loaded.configuration) {
      log_.error("The new configuration has errors, the old one stays in force",
                 {{"config", config_file_.string()}});
      notify_ready(status_line());
      return;
    }
    try {
      take_on(std::move(loaded));
    } catch (const std::exception& error) {
      log_.error("The new configuration cannot be used, the old one stays in force",
                 {{"why", error.what()}});
    }
    notify_ready(status_line());
  }

  void take_on(config::Loaded loaded) {
    auto& changed = *loaded.configuration;
    ingest::Decoder decoder{changed.inputs,
                            changed.limits};  // throws for what the parser could not see
    const bool restart =
        !(changed.broker == configuration_.broker) || changed.site != configuration_.site ||
        changed.topic_root != configuration_.topic_root ||
        changed.state_directory != configuration_.state_directory ||
        !(changed.archive == configuration_.archive) ||
        !(changed.home_assistant == configuration_.home_assistant) ||
        changed.processing.lanes != configuration_.processing.lanes ||
        changed.processing.journal_bytes != configuration_.processing.journal_bytes ||
        changed.processing.journal_sync != configuration_.processing.journal_sync ||
        changed.processing.journal_directory != configuration_.processing.journal_directory;
    put_in_force(loaded.text, std::make_unique<ingest::LaneRouter>(
                                  changed.inputs, static_cast<std::uint32_t>(lanes_.size())));
    payload_bytes_ = changed.limits.payload_bytes;
    session_->resubscribe(subscriptions_of(decoder));
    log_.info("The configuration was reloaded",
              {{"inputs", changed.inputs.size()}, {"profiles", changed.plan.profiles.size()}});
    if (restart) {
      log_.warning(
          "broker, site, topic_root, state_directory, archive, home_assistant, lanes and journal "
          "settings take effect with the next start");
    }
  }

  // All lanes take it on, or none: between the look whether there is room and the append nothing
  // else comes in.
  void put_in_force(const std::string& text, std::unique_ptr<ingest::LaneRouter> router) {
    const auto until = Clock::now() + journal_patience;
    const auto all_have_room = [&](const ingest::Record& record, Clock::duration patience) {
      const auto end = Clock::now() + patience;
      return std::all_of(lanes_.begin(), lanes_.end(), [&](LaneParts& parts) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
        return parts.journal->wait_for_room(record, std::max(left, 0ms));
      });
    };
    do {
      if (!all_have_room(configuration_record(text), until - Clock::now())) break;
      const std::lock_guard lock{intake_mutex_};
      const auto record = configuration_record(text);
      if (!all_have_room(record, 0ms)) continue;
      for (auto& parts : lanes_) check(parts.journal->append(record), "the journal has room");
      text_ = text;
      router_ = std::move(router);
      return;
    } while (Clock::now() < until);
    throw no_room_for_configuration();
  }

  // --- figures ---

  ShardFigures totals() const {
    ShardFigures sum;
    for (const auto& parts : lanes_) {
      const auto f = parts.lane->figures();
      sum.messages += f.messages;
      sum.readings += f.readings;
      sum.rejected.merge(f.rejected);
      sum.outcomes.merge(f.outcomes);
      sum.sensors += f.sensors;
      sum.machines += f.machines;
      sum.warming += f.warming;
      sum.active_alerts += f.active_alerts;
      sum.waiting += f.waiting;
      sum.windows.merge(f.windows);
      sum.alarms.merge(f.alarms);
      sum.commands_done += f.commands_done;
      sum.commands_refused += f.commands_refused;
    }
    return sum;
  }

  std::string status_line() const {
    const auto sum = totals();
    auto line = fmt::format(
        "{} to {}; {} sensors on {} machines, {} still learning; {} alerts active",
        session_->connected() ? "connected" : "not connected", configuration_.broker.url,
        sum.sensors, sum.machines, sum.warming, sum.active_alerts);
    if (const auto refused = publisher_->figures().refused; refused > 0)
      line += fmt::format("; the broker refuses {} messages", refused);
    return line;
  }

  ingest::Outgoing status_message(bool online) const {
    const auto sum = totals();
    Status status;
    status.online = online;
    status.version = version();
    status.site = configuration_.site;
    status.since = started_;
    status.messages = messages_;
    status.broker_dropped = broker_dropped_;
    status.rejected = sum.rejected;
    for (std::size_t i = 0; i < rejected_.size(); ++i)
      status.rejected.add(static_cast<Reject>(i), rejected_[i]);
    status.outcomes = sum.outcomes;
    status.sensors = sum.sensors;
    status.machines = sum.machines;
    status.sensors_learning = sum.warming;
    status.active_alerts = sum.active_alerts;
    status.windows = sum.windows;
    status.alarms = sum.alarms;
    status.commands_done = sum.commands_done;
    status.commands_refused = sum.commands_refused;
    status.delivery = publisher_->figures();
    if (writer_) status.storage = writer_->storage_figures();
    ingest::Outgoing message;
    message.topic = root_ + "/status";
    message.payload = status_document(status);
    message.retain = true;
    return message;
  }

  // --- the end ---

  void stop() {
    notify_stopping("draining");
    log_.info("Stopping: the lanes work off what they have");
    for (auto& parts : lanes_) parts.lane->drain();
    session_->set_last(status_message(false));
    publisher_->stop(session_->connected() ? std::chrono::milliseconds{publish_patience} : 0ms);
    session_->stop(disconnect_patience);
    // What came in until the connection was closed has been acknowledged, so it is worked off too.
    for (auto& parts : lanes_) parts.lane->drain();
    writer_->stop();
    const auto sum = totals();
    const auto written = writer_->figures();
    log_.info("Stopped: drained, committed and saved",
              {{"messages", messages_.load()},
               {"readings", sum.readings},
               {"alert_events", written.alerts},
               {"unpublished", publisher_->figures().waiting},
               {"failures", written.failures}});
  }

  static constexpr std::uint64_t status_tag = ~std::uint64_t{0};

  const fs::path config_file_;
  Log& log_;
  std::string text_;                           // of the configuration in force
  const config::Configuration configuration_;  // as at start; lanes hold what a reload changed
  const fs::path state_directory_;
  const DirectoryLock lock_;
  const std::string root_;
  const std::string command_root_ = root_ + "/cmd/";
  const Timestamp started_;
  ReceivedTime received_;
  std::optional<ProcessingTime> time_;
  MachineRegistry machines_{configuration_.processing.lanes};
  std::unique_ptr<ArchiveWriter> writer_;
  std::vector<LaneParts> lanes_;
  std::mutex intake_mutex_;  // of what the MQTT thread puts into the journals, and by which router
  std::unique_ptr<ingest::LaneRouter> router_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<ingest::Session> session_;
  std::atomic<std::uint32_t> payload_bytes_{configuration_.limits.payload_bytes};  // in force
  std::atomic<std::uint64_t> messages_{0};
  std::optional<std::uint64_t> broker_total_;  // of the MQTT thread: as the broker told last
  std::atomic<std::uint64_t> broker_dropped_{0};
  std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Reject::count_)> rejected_{};
  std::uint64_t said_full_ = 0;
  std::vector<std::uint64_t> beats_;
  std::atomic<std::uint64_t> heard_{0};  // handlers of the session that have come to their end
  std::uint64_t heard_before_ = 0;
  Clock::time_point heard_at_ = Clock::now();
  std::jthread syncer_;  // ends before the journals do
};

// A reload while nothing runs yet.
void read_again(const fs::path& config_file, config::Loaded& loaded, Log& log) {
  notify_reloading();
  auto changed = config::load(config_file);
  log_problems(log, changed.problems);
  if (changed.configuration) loaded = std::move(changed);
  notify_ready("");
}

}  // namespace

int run_daemon(const fs::path& config_file, Log& log) {
  sigset_t signals;
  sigemptyset(&signals);
  // A file that may not grow further is an error of write(), not the end.
  for (const int s : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGXFSZ}) sigaddset(&signals, s);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  auto loaded = config::load(config_file);
  log_problems(log, loaded.problems);
  if (!loaded.configuration) return exit_config;
  while (true) {
    const auto waited = wait_for_right_clock(&wall_clock, log);
    if (waited == Waited::told_to_stop) return exit_ok;
    if (waited == Waited::clock_is_right) break;
    read_again(config_file, loaded, log);
  }
  try {
    Daemon daemon{config_file, std::move(loaded), log};
    daemon.run();
    return exit_ok;
  } catch (const Failure& error) {
    log.error(error.what());
    return error.code();
  } catch (const std::invalid_argument& error) {
    log.error(error.what());
    return exit_config;
  } catch (const ingest::NewerJournal& error) {
    log.error(error.what());
    return exit_config;
  } catch (const std::system_error& error) {
    log.error(error.what());
    return exit_io;
  }
}

}  // namespace millwright::daemon
