// Is a JSON document what its JSON Schema says?
#pragma once

#include <string>

namespace millwright::test {

// Empty when `document` is valid against `schema`; else what is wrong with it, a line each. A
// schema or document that is no JSON is a problem too.
std::string schema_problem(const std::string& schema, const std::string& document);

}  // namespace millwright::test
