// What of a damaged archive can still be read, for the archive that takes its place.
#pragma once

#include <cstddef>
#include <filesystem>

#include "storage/database.h"

namespace millwright::storage {

struct Salvaged {
  std::size_t alerts = 0;    // alerts, with their events
  std::size_t messages = 0;  // rows of the outbox: not yet taken by the broker
  bool whole = true;         // false: some of it could not be read, or was more than is taken over
};

// Copies alerts, their events, the outbox, baselines, commands and services into `fresh`, an
// archive that is still empty, in one transaction; of each table at most the newest 20,000 rows.
// Summaries and the history of health stay in the damaged file, which is only read. Throws
// StorageError when `fresh` cannot be written; it is then as it was.
Salvaged salvage(Database& fresh, const std::filesystem::path& damaged);

}  // namespace millwright::storage
