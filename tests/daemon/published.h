// What an archive writer hands on to be published, kept.
#pragma once

#include <iterator>
#include <utility>
#include <vector>

#include "daemon/writer.h"

namespace millwright::test {

// Must outlive the writer.
struct Published {
  std::vector<storage::OutboxRow> rows;

  daemon::WriterHandlers handlers() {
    return {.publish =
                [this](std::vector<storage::OutboxRow> more) {
                  std::move(more.begin(), more.end(), std::back_inserter(rows));
                },
            .checkpointed = [](std::uint32_t, Position, bool) {},
            .committed = {}};
  }
};

}  // namespace millwright::test
