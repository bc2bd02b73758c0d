// What `millwright explain` says of an alert: all that its events in the archive tell, put into
// words, and its score worked out again.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"
#include "storage/alert_list.h"

namespace millwright::daemon {

// The score as the document's evidence and numbers make it up. Nothing when its detector's score
// rests on more than that.
std::optional<double> recomputed_score(const nlohmann::json& alert);

// What is read of the archive for it.
struct Story {
  std::vector<storage::AlertStep> steps;  // of the alert; at least one has a document
  // Of a case: the newest documents of its alerts, worst first; as many as are in the archive.
  std::vector<std::string> parts;
  std::vector<storage::Minute> minutes;  // around the evidence
  std::vector<std::string> services;     // documents of the machine's, see service_after
};

// Of which sensor, from when to when, the minutes are wanted; nothing: of none.
struct WantedMinutes {
  std::string machine, sensor;
  Timestamp from, to;
};
std::optional<WantedMinutes> wanted_minutes(const Story& story);

// The services of the alert's machine since it began.
std::vector<std::string> services_of(const storage::AlertList& archive,
                                     const std::vector<storage::AlertStep>& steps);

// Ids of the parts of a case, worst first.
std::vector<std::string> parts_of(const Story& story);

// Of the machine's services: whether the first one after the alert began helped its sensor (of a
// case: one of its sensors), as a document; nothing when it is not known or not about it.
std::optional<nlohmann::json> service_after(const nlohmann::json& alert,
                                            const std::vector<std::string>& services);

// For people, with a plot as wide as the terminal.
std::string explanation_text(const Story& story, std::size_t width, bool utf8);
// The same as one JSON object.
std::string explanation_document(const Story& story);

// `anna said: on my way`; `by anna` when there is no comment.
std::string said(const nlohmann::json& note);

}  // namespace millwright::daemon
