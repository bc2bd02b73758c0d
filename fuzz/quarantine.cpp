// Any file as that of the quarantine; what was read is written and read again.
#include "daemon/quarantine.h"

#include "fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  static const fuzz::Scratch scratch;
  const auto file = scratch.with(fuzz::text_of(data, size));
  daemon::Quarantine quarantine{file, 20, 64};
  (void)quarantine.load();
  quarantine.add(Reject::not_json, "/where", "topic", "payload", Timestamp{});
  quarantine.save();
  daemon::Quarantine again{file, 20, 64};
  fuzz::require(again.load() == 0, "what was written is read");
  fuzz::require(again.messages().size() == quarantine.messages().size(), "all of it");
  return 0;
}
