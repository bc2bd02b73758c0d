#include "tests/support/schema.h"

#include <exception>
#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace millwright::test {

std::string schema_problem(const std::string& schema, const std::string& document) {
  try {
    // The adapters borrow the documents.
    const auto schema_json = nlohmann::json::parse(schema);
    const auto document_json = nlohmann::json::parse(document);
    valijson::Schema rules;
    valijson::SchemaParser parser;
    parser.populateSchema(valijson::adapters::NlohmannJsonAdapter{schema_json}, rules);
    valijson::Validator validator;
    valijson::ValidationResults results;
    const valijson::adapters::NlohmannJsonAdapter target{document_json};
    if (validator.validate(rules, target, &results)) return {};
    std::string problem;
    for (const auto& error : results) {
      for (const auto& step : error.context) problem += step;
      problem += ": " + error.description + "\n";
    }
    return problem.empty() ? "the document is not valid" : problem;
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace millwright::test
