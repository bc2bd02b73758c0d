// Texts built while a message is decoded: they live until `clear`, at addresses that stay, and the
// memory is reused.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace millwright::ingest {

class TextArena {
 public:
  static constexpr std::size_t block_bytes = 64 * 1024;
  static constexpr std::size_t max_blocks = 256;  // 16 MiB: more names than that are an attack

  // Nothing when full, or for a text longer than a block.
  std::optional<std::string_view> add(std::string_view text) {
    if (text.size() > block_bytes) return std::nullopt;
    if (blocks_.empty() || block_bytes - used_ < text.size()) {
      if (!next_block()) return std::nullopt;
    }
    char* const at = blocks_[block_].get() + used_;
    std::memcpy(at, text.data(), text.size());
    used_ += text.size();
    return std::string_view{at, text.size()};
  }

  void clear() { block_ = used_ = 0; }

 private:
  bool next_block() {
    const std::size_t next = blocks_.empty() ? 0 : block_ + 1;
    if (next >= max_blocks) return false;
    if (next == blocks_.size()) blocks_.push_back(std::make_unique<char[]>(block_bytes));
    block_ = next;
    used_ = 0;
    return true;
  }

  std::vector<std::unique_ptr<char[]>> blocks_;
  std::size_t block_ = 0, used_ = 0;
};

}  // namespace millwright::ingest
