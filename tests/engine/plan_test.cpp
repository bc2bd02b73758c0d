#include <doctest/doctest.h>

#include "engine/plan.h"

using namespace millwright::engine;

TEST_CASE("a glob matches the whole text") {
  struct Row {
    const char* glob;
    const char* text;
    bool matches;
  };
  for (const auto& row :
       {Row{"*", "", true}, Row{"*", "R1/temp", true}, Row{"*/*_temp", "R1/j3_temp", true},
        Row{"*/*_temp", "R1/j3_temp_raw", false}, Row{"R00?/vib", "R007/vib", true},
        Row{"R00?/vib", "R00/vib", false}, Row{"R[0-4]*/x", "R3/x", true},
        Row{"R[0-4]*/x", "R7/x", false}, Row{"[abc]", "b", true}, Row{"[abc]", "d", false},
        Row{"[x", "[x", true}, Row{"a*b*c", "aXbYbZc", true}, Row{"a*b*c", "aXbYbZ", false},
        Row{"", "", true}, Row{"", "a", false}, Row{"**", "abc", true},
        Row{"*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false}}) {
    CAPTURE(row.glob);
    CAPTURE(row.text);
    CHECK(glob_matches(row.glob, row.text) == row.matches);
  }
}

TEST_CASE("the first profile that matches is taken, and auto when none does") {
  Plan plan;
  plan.profiles = {{.match = "R1/*", .unit = "A"}, {.match = "*/temp", .unit = "degC"}};
  CHECK(profile_for(plan, "R1", "temp").unit == "A");
  CHECK(profile_for(plan, "R2", "temp").unit == "degC");
  CHECK(profile_for(plan, "R2", "vib").unit.empty());
  CHECK(profile_for(plan, "R2", "vib").detectors == auto_detectors());
  CHECK(auto_detectors().size() >= 6);
}
