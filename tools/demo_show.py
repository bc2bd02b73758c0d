#!/usr/bin/env python3
"""What tools/demo shows: starts broker, daemon and simulator, prints alerts as they come, sums up at the end.

Standard library only; mosquitto and mosquitto_sub come from Debian's packages.
"""
import argparse
import collections
import datetime
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

SIMULATED_SECONDS = 2 * 86400
LATE_SECONDS = 3600  # an alert this long (simulated) after a repair still belongs to the fault
SITE_ROOT = "millwright/hall-1"


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def span(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"tools/demo: {what} after {seconds} s")
        time.sleep(0.05)


def answers(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Demo:
    def __init__(self, options):
        self.options = options
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="millwright-demo-"))
        self.port = free_port()
        self.children = []
        self.lines = queue.Queue()
        self.raised, self.status, self.printed = [], [], 0

    def start(self, *command, **how):
        child = subprocess.Popen(command, start_new_session=True, **how)  # Ctrl-C reaches this script alone
        self.children.append(child)
        return child

    def stop(self, child, seconds=30):
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        return child.returncode

    def start_broker(self):
        config = self.work / "mosquitto.conf"
        config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
                          "max_inflight_messages 1000\nmax_queued_messages 1000000\n")
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        binary = shutil.which("mosquitto", path=path)
        if not binary:
            sys.exit("tools/demo: mosquitto is not installed; run tools/setup")
        broker = self.start(binary, "-c", str(config), stdout=(self.work / "mosquitto.log").open("w"), stderr=subprocess.STDOUT)
        wait_for(lambda: answers(self.port) or broker.poll() is not None, 10, "the private broker does not answer")
        if broker.poll() is not None:
            sys.exit("tools/demo: the private broker ended: " + (self.work / "mosquitto.log").read_text())
        return broker

    def start_daemon(self):
        # The shipped example as it is; what only the demo needs stands beside it, as an administrator would do it.
        example = pathlib.Path(__file__).resolve().parent.parent / "config/examples/factory.json"
        (self.work / "conf.d").mkdir()
        (self.work / "millwright.json").write_text(example.read_text())
        (self.work / "conf.d/demo.json").write_text(json.dumps({
            "state_directory": str(self.work / "state"),
            "broker": {"url": f"tcp://127.0.0.1:{self.port}"},
            "processing": {"clock": "event"}}, indent=2))  # simulated time runs faster than the clock
        log = (self.work / "millwright.log").open("w")
        daemon = self.start(self.options.millwright, "run", "--config", str(self.work / "millwright.json"), stderr=log)
        said = lambda: (self.work / "millwright.log").read_text()
        wait_for(lambda: "Connected to the broker" in said() or daemon.poll() is not None, 20, "the daemon does not connect")
        if daemon.poll() is not None:
            sys.exit("tools/demo: the daemon ended: " + said())
        return daemon

    def start_watching(self):
        # -R: what was retained before is not an event of now.
        watcher = self.start("mosquitto_sub", "-V", "mqttv5", "-h", "127.0.0.1", "-p", str(self.port), "-q", "1", "-F", "%t\t%p",
                             "-t", SITE_ROOT + "/event/alert", "-t", SITE_ROOT + "/status", stdout=subprocess.PIPE, text=True)

        def read():
            for line in watcher.stdout:
                self.lines.put(line.rstrip("\n").split("\t", 1))

        threading.Thread(target=read, daemon=True).start()
        return watcher

    def start_simulator(self):
        speed = SIMULATED_SECONDS / self.options.seconds
        return self.start(self.options.millwright, "simulate", "--broker", f"tcp://127.0.0.1:{self.port}", "--robots",
                          str(self.options.robots), "--duration", "2d", "--speed", f"x{speed:.0f}", "--seconds",
                          str(self.options.seconds + 20), "--seed", str(self.options.seed), "--labels", str(self.work / "labels.json"),
                          stderr=(self.work / "simulate.log").open("w"))

    def show(self, topic, payload):
        document = json.loads(payload)
        if topic.endswith("/status"):
            if document.get("status") == "online":
                self.status.append((time.monotonic(), document))
                self.show_status()
            return
        if document["event"] == "raised":
            self.raised.append(document)
            print(f"  {document['time'][5:16].replace('T', ' ')}  {document['severity']:<8} {document['machine']}/{document['sensor']:<13} "
                  f"{document['message']}", flush=True)

    def show_status(self):
        if len(self.status) < 2:
            return
        (t0, a), (t1, b) = self.status[-2:]
        count = lambda d: sum(d["readings"].values())
        rate = (count(b) - count(a)) / max(t1 - t0, 1e-9)
        print(f"-- {rate:8.0f} readings/s  {count(b):>9} so far  {b['sensors']} sensors, {b['sensors'] - b['sensors_learning']} learned  "
              f"{b['active_alerts']} alerts active", flush=True)

    def drain(self):
        while True:
            try:
                self.show(*self.lines.get_nowait())
            except queue.Empty:
                return

    def run(self):
        self.start_broker()
        daemon = self.start_daemon()
        watcher = self.start_watching()
        simulator = self.start_simulator()
        print(f"{self.options.robots} robots x 12 sensors, two simulated days in about {self.options.seconds} s; "
              "times below are simulated. Faults are planted after the first 45 %.\n", flush=True)
        try:
            while simulator.poll() is None:
                try:
                    self.show(*self.lines.get(timeout=0.2))
                except queue.Empty:
                    pass
                if daemon.poll() is not None:
                    sys.exit("tools/demo: the daemon ended: " + (self.work / "millwright.log").read_text())
        except KeyboardInterrupt:
            print("\nstopping", flush=True)
        self.stop(simulator)
        # The daemon works off and publishes what it has before it ends; what it published is then on its way to us.
        code = self.stop(daemon)
        time_left = time.monotonic() + 3
        while watcher.poll() is None and time.monotonic() < time_left and not self.seen_offline():
            self.take_one()
        self.stop(watcher)
        self.drain()
        self.sum_up()
        if code != 0:
            sys.exit(f"tools/demo: the daemon ended with {code}: " + (self.work / "millwright.log").read_text())

    def take_one(self):
        try:
            topic, payload = self.lines.get(timeout=0.1)
        except queue.Empty:
            return
        if topic.endswith("/status") and json.loads(payload).get("status") == "offline":
            self.offline = True
        self.show(topic, payload)

    def seen_offline(self):
        return getattr(self, "offline", False)

    def sum_up(self):
        labels = json.loads((self.work / "labels.json").read_text())
        until = instant(labels.get("played_until") or labels["end"])
        played = [f for f in labels["faults"] if instant(f["start"]) < until]
        by_fault, outside = collections.defaultdict(list), []
        for alert in self.raised:
            at = instant(alert["time"])
            fault = next((i for i, f in enumerate(played) if f["machine"] == alert["machine"]
                          and instant(f["start"]) <= at <= instant(f["end"]) + LATE_SECONDS), None)
            (by_fault[fault] if fault is not None else outside).append(alert)

        print("\nPlanted faults")
        found = 0
        for i, f in enumerate(played):
            hits = [a for a in by_fault[i] if a["sensor"] in f["sensors"]]
            what = f"  {f['machine']}  {f['kind'].replace('_', ' '):<13} {f['meaning']:<28}"
            if hits:
                found += 1
                delay = instant(hits[0]["time"]) - instant(f["start"])
                kinds = ", ".join(sorted({f"{a['sensor']} {a['kind']}" for a in hits}))
                print(f"{what} found after {span(max(delay, 0)):>7}: {kinds}")
            else:
                print(f"{what} MISSED in the {span(min(until, instant(f['end'])) - instant(f['start']))} it was there")
        print(f"{found} of {len(played)} found, {len(labels['faults']) - len(played)} not played.")
        sensors = labels["robots"] * labels["sensors_per_robot"]
        days = (until - instant(labels["start"])) / 86400
        print(f"\n{len(self.raised)} alerts in {days:.1f} simulated days; {len(outside)} without a fault"
              + (f", that is {len(outside) / (sensors * days) * 30:.2f} per sensor and month" if days > 0 else ""))
        for alert in outside[:10]:
            print(f"  {alert['time'][5:16].replace('T', ' ')}  {alert['machine']}/{alert['sensor']:<13} {alert['kind']}: {alert['message']}")
        if len(outside) > 10:
            print(f"  and {len(outside) - 10} more")
        print((self.work / "simulate.log").read_text().strip())
        if self.options.keep:
            print(f"kept in {self.work}: millwright.json, conf.d, state (archive), labels.json, logs")

    def close(self):
        for child in reversed(self.children):
            self.stop(child)
        if not self.options.keep:
            shutil.rmtree(self.work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--millwright", required=True)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--robots", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true")
    demo = Demo(parser.parse_args())

    def interrupted(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGINT, interrupted)
    try:
        demo.run()
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        demo.close()


if __name__ == "__main__":
    main()
