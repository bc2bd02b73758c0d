// Any file as a journal: opened, read, written on, opened again. An input whose first byte is odd
// is taken as it is, of all others the checksums are put right first.
#include "ingest/journal.h"

#include <memory>

#include "fuzz/scratch.h"

namespace {

// Reads all there is; the content is looked at, for a sanitizer to see where it lies.
std::uint64_t read_all(millwright::ingest::Journal& journal) {
  std::uint64_t records = 0, letters = 0;
  millwright::Position last = 0;
  while (const auto record = journal.next()) {
    millwright::fuzz::require(record->position > last, "positions rise");
    last = record->position;
    for (const auto part : {record->topic, record->properties, record->payload})
      for (const char c : part) letters += static_cast<unsigned char>(c);
    ++records;
  }
  return records + (letters & 0);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  static const fuzz::Scratch scratch;
  auto input = fuzz::text_of(data, size);
  if (input.empty() || size > 40'000) return 0;
  const bool as_it_is = (data[0] & 1) != 0;
  input.remove_prefix(1);
  const auto file = scratch.with(as_it_is ? std::string{input} : fuzz::repaired_journal(input));

  constexpr std::uint64_t capacity = 8192;
  auto first = ingest::Journal::open(file, capacity);
  fuzz::require(read_all(*first.journal) == first.kept_records, "what was kept is read");
  // Nobody lives to see the last positions given.
  if (first.journal->last_appended() > Position{1} << 62) return 0;
  ingest::Record record;
  record.kind = ingest::RecordKind::message;
  record.topic = "t";
  record.payload = "p";
  const bool taken = first.journal->append(record);
  fuzz::require(read_all(*first.journal) == (taken ? 1 : 0), "what is appended is read");
  first.journal.reset();

  auto second = ingest::Journal::open(file, capacity);
  fuzz::require(!second.set_aside && second.torn_records == 0, "it is whole now");
  fuzz::require(second.kept_records == first.kept_records + (taken ? 1 : 0), "and has all of it");
  second.journal->release_through(second.journal->last_appended());
  fuzz::require(second.journal->unreleased_bytes() == 0 && second.journal->append(record),
                "once released there is room");
  return 0;
}
