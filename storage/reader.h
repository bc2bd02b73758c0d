// Archives that are only read, by whoever may not be the one who wrote them.
#pragma once

#include <filesystem>

#include "storage/database.h"

namespace millwright::storage {

// Opens an archive to read it. Throws StorageError with a sentence when it is none, or was written
// by a newer or an older Millwright; nothing is written or migrated.
Database open_to_read(const std::filesystem::path& file);

}  // namespace millwright::storage
