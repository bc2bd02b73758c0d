// Reads a document into the settings that a description names, with a problem for everything that
// does not fit.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/describe.h"
#include "config/document.h"

namespace millwright::config {

void read(const Node& node, const std::string& pointer, std::vector<Field>& fields, Report& report);

// Brings a later file's document into the first one's, as the description says of each list.
void merge(Node& into, Node&& later, const std::vector<Field>& fields);

// `the text "90"`, `an object`.
std::string describe_value(const Node& node);

// The candidate with the smallest edit distance (a swap of neighbours is one edit); empty when none
// is near.
std::string_view nearest(std::string_view text, std::span<const std::string_view> candidates);

}  // namespace millwright::config
