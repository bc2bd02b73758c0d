// Any file as a checkpoint, and what is in it as the state of a lane. As in journal.cpp, an odd
// first byte says that nothing is put right.
#include "storage/checkpoint.h"

#include <stdexcept>

#include "daemon/shard.h"
#include "fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace millwright;
  static const fuzz::Scratch scratch;
  auto input = fuzz::text_of(data, size);
  if (input.empty()) return 0;
  const bool as_it_is = (data[0] & 1) != 0;
  input.remove_prefix(1);
  const auto file = scratch.with(as_it_is ? std::string{input} : fuzz::repaired_checkpoint(input));
  const auto read = storage::read_checkpoint(file);
  fuzz::require(read.checkpoint || !read.set_aside.empty() || read.newer_version,
                "a file that is not used is told");
  if (!read.checkpoint) return 0;
  daemon::MachineRegistry machines;
  try {
    daemon::Shard shard{0, read.checkpoint->configuration, machines, nullptr};
    if (shard.restore(*read.checkpoint)) return 0;
    (void)shard.figures();
    daemon::MachineRegistry others;
    daemon::Shard again{0, read.checkpoint->configuration, others, nullptr};
    fuzz::require(!again.restore(shard.checkpoint()), "what was taken over is taken over again");
  } catch (const std::invalid_argument&) {
    // Its configuration is refused in words.
  }
  return 0;
}
