// Whether a service helped, as JSON.
#pragma once

#include <string>
#include <string_view>

#include "core/service.h"

namespace millwright::daemon {

std::string service_document(const ServiceOutcome& outcome, std::string_view site);
// Of these documents.
std::string service_schema();

}  // namespace millwright::daemon
