// What a refusal means and what to do about it, for people.
#pragma once

#include <string_view>

#include "core/accounting.h"

namespace millwright::daemon {

// One sentence, no full stop.
std::string_view explanation(Reject reason);
std::string_view explanation(Outcome outcome);

}  // namespace millwright::daemon
