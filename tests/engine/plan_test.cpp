#include <doctest/doctest.h>

#include "detectors/all.h"
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
}

TEST_CASE("a ready-made set is its detector and those that watch the sensor itself, by defaults") {
  for (const auto* name : {"auto", "precise"}) {
    CAPTURE(name);
    const auto set = detector_set(name);
    REQUIRE(set);
    CHECK(*set ==
          std::vector<DetectorChoice>{{name, {}}, {"gap", {}}, {"stuck", {}}, {"clock", {}}});
    const auto types = millwright::detectors::types();
    for (const auto& choice : *set) {
      CAPTURE(choice.name);
      const auto type = millwright::detectors::find_type(choice.name);
      REQUIRE(type < types.size());
      const bool of_sensor = class_of(types[type].kind) == millwright::AlertClass::sensor;
      CHECK(of_sensor == (choice.name != name));
    }
  }
  CHECK(auto_detectors() == *detector_set("auto"));
  CHECK_FALSE(detector_set("none"));
  CHECK_FALSE(detector_set("spike"));
}
