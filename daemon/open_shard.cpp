#include "daemon/open_shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <utility>

#include "daemon/command.h"
#include "storage/checkpoint.h"

namespace millwright::daemon {
namespace {

namespace fs = std::filesystem;

class Opening {
 public:
  Opening(std::uint32_t lane, const std::string& configuration_text, MachineRegistry& registry,
          Quarantine* quarantine, ArchiveWriter& writer, Log& log)
      : lane_(lane),
        text_(configuration_text),
        registry_(registry),
        quarantine_(quarantine),
        writer_(writer),
        log_(log) {}

  OpenedShard open(const LaneFiles& files, std::uint64_t journal_bytes) {
    auto opened = ingest::Journal::open(files.journal(lane_), journal_bytes);
    tell_damage(opened);
    OpenedShard out;
    out.journal = std::move(opened.journal);
    out.records = opened.kept_records;
    out.shard = restored(files.state(lane_));
    const auto position = out.shard->position();
    if (out.journal->last_released() > position) {
      log_.error(
          "The newest checkpoint is older than the journal: what was learned in between is lost",
          {{"lane", lane_},
           {"checkpoint", position},
           {"journal_begins_after", out.journal->last_released()}});
    }
    out.journal->seek_after(position);
    out.archived = archived_after(known_until(position, *out.journal, opened.torn_records));
    return out;
  }

 private:
  void tell_damage(const ingest::JournalOpen& opened) {
    if (opened.set_aside) {
      log_.error(
          "A journal could not be used and was set aside, readings since the last checkpoint are "
          "lost",
          {{"lane", lane_}, {"set_aside", *opened.set_aside}});
      writer_.found_damage(
          fmt::format("A journal could not be used and was set aside as {}: readings since the "
                      "last checkpoint are lost",
                      *opened.set_aside));
    }
    if (opened.torn_records > 0) {
      log_.warning("Records at the end of the journal were torn and are not used",
                   {{"lane", lane_}, {"records", opened.torn_records}});
    }
  }

  void say_damage(const std::string& sentence) {
    log_.error(sentence);
    writer_.found_damage(sentence);
  }

  // A damaged checkpoint is set aside and the older one used, else everything is learned anew.
  std::unique_ptr<Shard> restored(const fs::path& file) {
    while (true) {
      const auto read = storage::read_checkpoint(file);
      for (const auto& sentence : read.set_aside) say_damage(sentence);
      if (read.newer_version) throw Failure{exit_config, *read.newer_version};
      auto shard = fresh(read.checkpoint);
      if (!read.checkpoint) return shard;
      const auto problem = shard->restore(*read.checkpoint);
      if (!problem) return shard;
      if (!problem->damaged) throw Failure{exit_config, problem->sentence};
      say_damage(storage::set_checkpoint_aside(file, problem->sentence));
    }
  }

  // With the checkpoint's own configuration: what the journal holds behind it is replayed as it was
  // meant.
  std::unique_ptr<Shard> fresh(const std::optional<storage::Checkpoint>& checkpoint) {
    if (checkpoint) {
      try {
        return std::make_unique<Shard>(lane_, checkpoint->configuration, registry_, quarantine_);
      } catch (const std::invalid_argument& error) {
        log_.warning(
            "The configuration in the checkpoint is not understood any more, the present one is "
            "used",
            {{"lane", lane_}, {"why", error.what()}});
      }
    }
    return std::make_unique<Shard>(lane_, text_, registry_, quarantine_);
  }

  // The last position up to which checkpoint and journal together know everything.
  static Position known_until(Position checkpoint, const ingest::Journal& journal,
                              std::uint64_t torn) {
    if (journal.last_released() > checkpoint) return checkpoint;
    const auto appended = journal.last_appended();
    return std::max(checkpoint, appended - std::min<Position>(appended, torn));
  }

  // After a power cut the archive may have alerts of a time that neither checkpoint nor journal
  // knows. The lane hears of them, or it would give their revisions a second time, and nobody could
  // ever end those that it does not know.
  std::vector<std::string> archived_after(Position known) {
    const auto archived = writer_.applied(lane_);
    if (archived <= known) return {};
    const auto alerts = writer_.alerts_after(lane_, known);
    if (alerts.empty()) return {};
    log_.warning("The archive is ahead of what is known here: its newer alerts go on from there",
                 {{"lane", lane_},
                  {"known_until", known},
                  {"archived_until", archived},
                  {"alerts", alerts.size()}});
    return archived_alerts(alerts);
  }

  const std::uint32_t lane_;
  const std::string& text_;
  MachineRegistry& registry_;
  Quarantine* const quarantine_;
  ArchiveWriter& writer_;
  Log& log_;
};

}  // namespace

OpenedShard open_shard(std::uint32_t lane, const LaneFiles& files, std::uint64_t journal_bytes,
                       const std::string& configuration_text, MachineRegistry& registry,
                       Quarantine* quarantine, ArchiveWriter& writer, Log& log) {
  return Opening{lane, configuration_text, registry, quarantine, writer, log}.open(files,
                                                                                   journal_bytes);
}

}  // namespace millwright::daemon
