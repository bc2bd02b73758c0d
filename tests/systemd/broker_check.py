#!/usr/bin/env python3
"""The example configuration of the broker, in a private mosquitto: it starts, and each user may do what the ACL says."""
import getpass
import os
import socket
import subprocess
import time

from harness import Check, run

check = Check()
examples = check.source / "systemd/examples/mosquitto"
os.environ["PATH"] += ":/usr/sbin:/sbin"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def reachable(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


port = free_port()
text = (examples / "millwright.conf").read_text()
check.claim("listener 1883 127.0.0.1" in text, "the example listens on loopback only")
text = text.replace("listener 1883 ", f"listener {port} ").replace("/etc/mosquitto/", f"{check.temp}/")
(check.temp / "conf.d").mkdir()
(check.temp / "conf.d/millwright.conf").write_text(text)
(check.temp / "millwright.acl").write_text((examples / "millwright.acl").read_text())
for option, user in (("-c", "millwright"), ("", "crew"), ("", "gateway")):
    run("mosquitto_passwd", *([option] if option else []), "-b", check.temp / "millwright.passwd", user, f"{user}-secret")
# As Debian's mosquitto.conf, which includes the folder.
(check.temp / "mosquitto.conf").write_text(
    f"user {getpass.getuser()}\npersistence true\npersistence_location {check.temp}/\n"
    f"log_dest file {check.temp}/log\nlog_type all\ninclude_dir {check.temp}/conf.d\n")

broker = subprocess.Popen(["mosquitto", "-c", str(check.temp / "mosquitto.conf")], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
try:
    deadline = time.monotonic() + 20
    while not reachable(port) and broker.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    up = check.claim(reachable(port), "mosquitto starts with the example",
                     broker.stdout.read() if broker.poll() is not None else "")

    def client(program, user, *options, password=None):
        return run(program, "-h", "127.0.0.1", "-p", port, "-V", "5", "-q", "1", "-u", user,
                   "-P", password or f"{user}-secret", *options)

    def arrives(sender, receiver, topic):
        """True when what `sender` retains on `topic` comes to `receiver`."""
        client("mosquitto_pub", sender, "-t", topic, "-m", "42", "-r")
        # mosquitto_sub ends after one message, or after -W seconds without one.
        status, output = client("mosquitto_sub", receiver, "-t", topic, "-C", "1", "-W", "1")
        return status == 0 and output.strip() == "42"

    if up:
        check.claim(arrives("gateway", "millwright", "acme/berlin/press/R001/telemetry"), "readings reach Millwright")
        check.claim(arrives("millwright", "crew", "millwright/berlin/event/alert"), "alerts reach the crew")
        check.claim(arrives("millwright", "crew", "millwright/berlin/state/R001/temp/shift"), "states reach the crew")
        check.claim(arrives("millwright", "crew", "millwright/berlin/status"), "the status reaches the crew")
        check.claim(not arrives("crew", "crew", "millwright/berlin/cmd/test"), "the crew may not write")
        check.claim(not arrives("millwright", "millwright", "acme/berlin/other"), "Millwright may not send readings")
        status, output = client("mosquitto_pub", "millwright", "-t", "millwright/berlin/status", "-m", "x",
                                password="wrong")
        check.claim(status != 0, "a wrong password is refused", output)
        log = (check.temp / "log").read_text()
        check.claim("Warning" not in log and "Error" not in log, "mosquitto has no complaint about the example", log)
finally:
    broker.terminate()
    broker.wait(timeout=20)

check.done()
