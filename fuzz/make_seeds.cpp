// Writes the seeds of the binary formats: make_fuzz_seeds fuzz/corpus
#include <filesystem>
#include <fstream>

#include "core/codec.h"
#include "daemon/shard.h"
#include "fuzz/world.h"
#include "ingest/journal.h"
#include "storage/checkpoint.h"

namespace {

using namespace millwright;
namespace fs = std::filesystem;

void write(const fs::path& file, const std::string& bytes) {
  fs::create_directories(file.parent_path());
  std::ofstream{file, std::ios::binary} << bytes;
}

std::string read(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void states(const fs::path& corpus) {
  for (const int minutes : {1, 20}) {
    fuzz::World world;
    world.live_through(0, minutes);
    std::string bytes;
    Writer{bytes}(world.engine.save_all(1000), world.fleet.save(), world.desk.save());
    write(corpus / "state" / ("minutes-" + std::to_string(minutes)), bytes);
  }
  std::string bytes;
  const engine::Engine fresh{fuzz::World{}.plan};
  Writer{bytes}(fresh.save_all(0), std::string{}, std::string{});
  write(corpus / "state" / "fresh", bytes);
}

ingest::Record reading(int i) {
  ingest::Record record;
  record.kind = ingest::RecordKind::message;
  record.position = static_cast<Position>(i) + 1;
  record.received = record.arrival = from_microseconds(1'750'000'000'000'000 + i * 1'000'000LL);
  record.topic = i % 2 == 0 ? "plant/R1/temp" : "plant/R2/temp";
  record.payload = i % 5 == 4 ? "95" : "20.5";
  return record;
}

void checkpoints(const fs::path& corpus, const fs::path& scratch) {
  daemon::MachineRegistry machines;
  daemon::Shard shard{0, std::string{fuzz::world_configuration}, machines, nullptr};
  for (const int readings : {0, 10}) {
    for (int i = 0; i < readings; ++i) shard.apply(reading(i));
    (void)shard.step();
    storage::write_checkpoint(scratch / "c.state", shard.checkpoint());
    // The first byte tells the target what to do.
    write(corpus / "checkpoint" / ("readings-" + std::to_string(readings)),
          "0" + read(scratch / "c.state"));
  }
}

void journals(const fs::path& corpus, const fs::path& scratch) {
  for (const int records : {0, 3, 200}) {
    const auto file = scratch / "j.journal";
    fs::remove(file);
    auto opened = ingest::Journal::open(file, 4096);
    for (int i = 0; i < records; ++i) {
      auto record = reading(i);
      if (i % 3 == 1) record.kind = ingest::RecordKind::tick;
      opened.journal->append(record);
      if (records > 100) opened.journal->release_through(static_cast<Position>(i) / 2);
    }
    opened.journal.reset();
    write(corpus / "journal" / ("records-" + std::to_string(records)), "0" + read(file));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  const fs::path corpus = argv[1], scratch = fs::temp_directory_path() / "millwright-seeds";
  fs::create_directories(scratch);
  states(corpus);
  checkpoints(corpus, scratch);
  journals(corpus, scratch);
  fs::remove_all(scratch);
  return 0;
}
