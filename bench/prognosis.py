#!/usr/bin/env python3
"""How good the time to limit is, on machines that ran to failure.

    bench/prognosis.py --millwright build/release/daemon/millwright --data FOLDER --config bench/detection/cmapss.json

FOLDER holds labels.json and, per machine named there, NAME.csv for `millwright replay`:

    { "NAME": { "kind": "remaining_life", "cycles": 192, "cycle_seconds": 3600, "remaining_at_end": 0 } }

A machine fails `remaining_at_end` cycles after its last row. Printed per number of cycles before failure: machines that had
run so long, how many had a forecast shown, how many of those failed inside the stated interval, before it and after it, the
median of the error (positive: failed before the time told) and of its size, and the median width of the interval, in
cycles. `any`: over all moments at which a forecast was shown. Nothing is asserted.
"""
import argparse
import bisect
import csv
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def replay(millwright, series, config, out):
    command = [millwright, "replay", series, "--quiet", "--health", out]
    if config:
        command += ["--config", config]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def told(file):
    """Rows as (time, health, forecast); forecast: (reaches, earliest, latest) or None."""
    rows = []
    with open(file, newline="") as text:
        for row in csv.DictReader(text):
            shown = row["reaches_limit"] and row["latest"]
            forecast = tuple(instant(row[k]) for k in ("reaches_limit", "earliest", "latest")) if shown else None
            rows.append((instant(row["time"]), float(row["health"]) if row["health"] else None, forecast))
    return rows


def last_time(file):
    with open(file, newline="") as text:
        return max(instant(row[0]) for row in list(csv.reader(text))[1:])


class Tally:
    def __init__(self):
        self.machines = self.shown = self.inside = self.before = self.after = 0
        self.errors, self.widths, self.healths = [], [], []

    def add(self, now, health, forecast, end, cycle):
        self.machines += 1
        if health is not None:
            self.healths.append(health)
        if not forecast:
            return
        reaches, earliest, latest = forecast
        self.shown += 1
        self.before += end < earliest
        self.after += end > latest
        self.inside += earliest <= end <= latest
        self.errors.append((reaches - end) / cycle)
        self.widths.append((latest - earliest) / cycle)

    def line(self, name):
        health = f"{statistics.median(self.healths):6.1f}" if self.healths else "     -"
        if not self.shown:
            return f"{name:>6} {self.machines:8d} {health} {0:6d}"
        share = lambda n: f"{100 * n / self.shown:5.0f} %"
        size = statistics.median(abs(e) for e in self.errors)
        return (f"{name:>6} {self.machines:8d} {health} {self.shown:6d} {share(self.inside)} {share(self.before)} "
                f"{share(self.after)} {statistics.median(self.errors):+8.0f} {size:7.0f} "
                f"{statistics.median(self.widths):7.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millwright", required=True, help="the program")
    parser.add_argument("--data", required=True, help="folder with labels.json and the series")
    parser.add_argument("--config", default="", help="configuration for replay; none: the defaults")
    parser.add_argument("--left", default="100,50,20", help="cycles before failure (%(default)s)")
    parser.add_argument("--every", default="all", choices=("all", "odd", "even"), help="only machines of odd or even number")
    options = parser.parse_args()
    marks = [int(text) for text in options.left.split(",")]
    with open(os.path.join(options.data, "labels.json")) as text:
        labels = json.load(text)
    wanted = [(name, label) for number, (name, label) in enumerate(sorted(labels.items()), 1)
              if label.get("kind") == "remaining_life"
              and (options.every == "all" or (number % 2 == 1) == (options.every == "odd"))]
    if not wanted:
        sys.exit("no machine with kind remaining_life in labels.json")
    tallies = {mark: Tally() for mark in marks}
    always = Tally()
    with tempfile.TemporaryDirectory(prefix="millwright-prognosis-") as folder:
        for name, label in wanted:
            series, out = os.path.join(options.data, name + ".csv"), os.path.join(folder, "health.csv")
            replay(options.millwright, series, options.config, out)
            rows, cycle = told(out), label["cycle_seconds"]
            end = last_time(series) + label["remaining_at_end"] * cycle
            times = [row[0] for row in rows]
            for mark in marks:
                now = end - mark * cycle
                at = bisect.bisect_right(times, now + 0.5) - 1
                if at >= 0:
                    tallies[mark].add(now, rows[at][1], rows[at][2], end, cycle)
            for now, health, forecast in rows:
                if forecast:
                    always.add(now, health, forecast, end, cycle)
    print("cycles machines health  shown  inside  before   after    error  |error|   width")
    for mark in marks:
        print(tallies[mark].line(str(mark)))
    print(always.line("any"))


if __name__ == "__main__":
    main()
