#include <doctest/doctest.h>

#include <memory>
#include <thread>

#include "core/channel.h"

using namespace millwright;

TEST_CASE("a channel gives out what was put in, in order, and refuses beyond its capacity") {
  Channel<std::unique_ptr<int>> channel{2};
  auto one = std::make_unique<int>(1), two = std::make_unique<int>(2),
       three = std::make_unique<int>(3);
  CHECK(channel.try_push(one));
  CHECK(channel.try_push(two));
  CHECK_FALSE(channel.try_push(three));
  CHECK(three);
  CHECK(**channel.pop() == 1);
  CHECK(channel.try_push(three));
  CHECK(**channel.pop() == 2);
  CHECK(**channel.pop() == 3);
}

TEST_CASE("closing wakes a waiting reader, refuses new items and lets the old ones be drained") {
  Channel<int> channel{4};
  CHECK(channel.push(7));
  channel.close();
  CHECK_FALSE(channel.push(8));
  CHECK_FALSE(channel.drained());
  CHECK(channel.pop() == 7);
  CHECK(channel.pop() == std::nullopt);
  CHECK(channel.drained());
}

TEST_CASE("everything pushed by several threads arrives once") {
  Channel<int> channel{8};
  long sum = 0;
  std::thread reader{[&] {
    while (const auto item = channel.pop()) sum += *item;
  }};
  {
    std::jthread a{[&] {
      for (int i = 1; i <= 1000; ++i) channel.push(i);
    }};
    std::jthread b{[&] {
      for (int i = 1; i <= 1000; ++i) channel.push(i);
    }};
  }
  channel.close();
  reader.join();
  CHECK(sum == 1001000);
}
