#!/usr/bin/env python3
"""The sandbox, really exercised: the installed unit on a machine with a systemd of its own as PID 1 (machine.py), with
Debian's mosquitto and the example configurations beside it. What the daemon may do works, what it may not is refused, a
thread that hangs is found by the watchdog, and a start that cannot work does not run hot.

Exit status 77: skipped, for namespaces are not permitted here."""
import ctypes
import json
import os
import re
import signal
import sys
from pathlib import Path

from harness import Check, run
from machine import Machine, NotPermitted, wait_until

PORT = 1883
HOME = "/home"
STATE = "/var/lib/private/millwright"
CONFIGURATION = {
    "site": "berlin",
    "broker": {"url": f"tcp://127.0.0.1:{PORT}", "username": "millwright", "password_credential": "mqtt-password"},
    "inputs": [{"topic": "acme/{machine}/{sensor}", "format": "text", "machine": "{machine}", "sensor": "{sensor}"}],
    "profiles": [{"match": "*/temp", "detectors": [], "limits": {"high": 80, "hysteresis": 2}}],
    "processing": {"checkpoint_interval_s": 1},
}
full = os.environ.get("MILLWRIGHT_TEST_SCALE") == "full"
check = Check()
examples = check.source / "systemd/examples"


def drop_in(machine, name, *lines, unit="millwright"):
    machine.write(f"/etc/systemd/system/{unit}.service.d/{name}.conf", "[Service]\n" + "\n".join(lines) + "\n")
    machine.run("systemctl", "daemon-reload")


def configure(machine, configuration):
    text = configuration if isinstance(configuration, str) else json.dumps(configuration)
    machine.write("/etc/millwright/millwright.json", text)


def set_up(machine):
    """As README.md and the examples tell an administrator."""
    machine.path("/shared/root").mkdir()
    status, output = run(check.cmake, "--install", check.build, "--strip", DESTDIR=str(machine.shared / "root"))
    check.claim(status == 0, "cmake --install succeeds", output)
    # Not cp: /lib is a link on a merged /usr.
    status, output = machine.run("sh", "-c", "tar -C /shared/root -c . | tar -C / -x --keep-directory-symlink --no-same-owner")
    check.claim(status == 0, "what is installed gets onto the machine", output)
    configure(machine, CONFIGURATION)
    machine.write("/etc/millwright/mqtt-password", "millwright-secret\n", 0o600)
    for name in ("millwright.conf", "millwright.acl"):
        folder = "/etc/mosquitto/conf.d" if name.endswith(".conf") else "/etc/mosquitto"
        machine.write(f"{folder}/{name}", (examples / "mosquitto" / name).read_text())
    for option, user in (("-c", "millwright"), ("", "crew"), ("", "planner"), ("", "gateway")):
        machine.run("mosquitto_passwd", *([option] if option else []), "-b", "/etc/mosquitto/millwright.passwd", user,
                    f"{user}-secret")
    machine.run("chown", "mosquitto:", "/etc/mosquitto/millwright.passwd")
    machine.write("/etc/systemd/system/millwright.service.d/password.conf", (examples / "password.conf").read_text())
    machine.write("/var/lib/mosquitto/secret", "", 0o600)
    machine.run("chown", "mosquitto:", "/var/lib/mosquitto/secret")
    machine.write(f"{HOME}/anna/secret", "", 0o644)
    machine.run("install", "-m", "4755", "/usr/bin/id", "/usr/local/bin/id-as-root")
    machine.run("systemctl", "daemon-reload")


def client(machine, program, user, *options):
    return machine.run(program, "-h", "127.0.0.1", "-p", PORT, "-V", "5", "-q", "1", "-u", user, "-P", f"{user}-secret",
                       *options)


def send(machine, topic, text):
    status, output = client(machine, "mosquitto_pub", "gateway", "-t", topic, "-m", text)
    check.claim(status == 0, f"the gateway sends to {topic}", output)


def state_of(machine, topic, seconds=10):
    """What is retained on a topic of the site, or comes within that time."""
    status, output = client(machine, "mosquitto_sub", "crew", "-t", f"millwright/berlin/{topic}", "-C", "1", "-W", seconds)
    return json.loads(output) if status == 0 else {}


def connected(machine):
    return machine.properties("millwright", "StatusText").startswith("connected to tcp://")


def main_pid(machine):
    """As seen from here."""
    inside = machine.properties("millwright", "MainPID")
    for task in Path("/proc").glob("[0-9]*/status"):
        try:
            found = re.search(r"^NSpid:\s+\d+\s+(\d+)$", task.read_text(), re.M)
            if found and found.group(1) == inside and os.readlink(task.parent / "ns/pid") == os.readlink(
                    f"/proc/{machine.pid}/ns/pid"):
                return int(task.parent.name)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
    raise LookupError("the daemon does not run")


def thread_of(pid, name):
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise LookupError(f"no thread is called {name}")


class Stopped:
    """One thread of a process stands still, the others go on: as if it hung. Only a tracer can do that."""
    PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 17, 0x4206, 0x4207, 0x40000000

    def __init__(self, thread):
        self.thread, self.libc = thread, ctypes.CDLL(None, use_errno=True)

    def __enter__(self):
        self._trace(self.PTRACE_SEIZE)
        self._trace(self.PTRACE_INTERRUPT)
        os.waitpid(self.thread, self.WALL)
        return self

    def __exit__(self, *_):
        # When it has been killed, nobody else can take note of that before us; when not, it goes on.
        if not wait_until(self._is_over, 1):
            self._trace(self.PTRACE_DETACH)

    def _is_over(self):
        try:
            return os.waitpid(self.thread, self.WALL | os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True

    def _trace(self, request):
        if self.libc.ptrace(ctypes.c_long(request), ctypes.c_long(self.thread), None, None) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of {self.thread}")


def starts_and_watches(machine):
    status, output = machine.run("systemctl", "start", "mosquitto", "millwright")
    started = check.claim(status == 0, "systemctl start returns once the daemon is READY", output)
    is_now = machine.properties("millwright", "ActiveState", "SubState", "Type", "NRestarts")
    check.claim(is_now == {"ActiveState": "active", "SubState": "running", "Type": "notify", "NRestarts": "0"},
                f"the unit runs: {is_now}", machine.journal("millwright"))
    check.claim(wait_until(lambda: connected(machine)), "STATUS tells that it is connected, so the credential was right",
                machine.properties("millwright", "StatusText") + machine.journal("millwright"))
    if not started:
        return False
    send(machine, "acme/R1/temp", "20.5")
    send(machine, "acme/R1/temp", "95")
    alert = state_of(machine, "state/R1/temp/limit")
    check.claim(alert.get("state") == "active", f"a reading beyond its limit raises an alert: {alert}",
                machine.journal("millwright"))
    uid = int(re.search(r"^Uid:\s+(\d+)", Path(f"/proc/{main_pid(machine)}/status").read_text(), re.M).group(1))
    check.claim(61184 <= uid <= 65519, f"it runs as a dynamic user, {uid}")
    folder = machine.path(STATE).stat()
    check.claim((folder.st_mode & 0o777, folder.st_uid) == (0o700, uid), "the state directory is its own and nobody else's")
    for name in ("lane-0.state", "millwright.db", "lock"):
        check.claim(wait_until(lambda: machine.path(f"{STATE}/{name}").exists()), f"{name} is in the state directory")
        mode = machine.path(f"{STATE}/{name}").stat().st_mode & 0o777
        check.claim(mode == 0o600, f"{name} has mode 600, not {mode:o}")
    check.claim(machine.path("/run/millwright").is_dir() and any(machine.path("/run/millwright").iterdir()),
                "the journal is in the runtime directory, on tmpfs")
    check.claim(not machine.properties("millwright", "StatusText").count("secret") and
                "secret" not in machine.journal("millwright"), "the password is nowhere in the journal")
    return True


# What the sandbox lets the probe see of each attempt; all others have to end with one of `refusals`.
granted = {"writes its state": "600", "writes its journal": "600", "writes temporary files": "600",
           "reads its configuration": "done", "reads its credential": "done", "reaches the broker": "done"}
refusals = {"EPERM", "EACCES", "EROFS", "ENOENT", "ESRCH", "EAFNOSUPPORT", "SIGSYS",
            "timed out"}


def probe(machine, unit_text, name):
    machine.write(f"/etc/systemd/system/{name}.service", unit_text)
    machine.run("systemctl", "daemon-reload")
    status, output = machine.run("systemctl", "start", name)
    check.claim(status == 0, f"{name} comes to its end", output + machine.journal(name))


def is_confined(machine):
    """The same properties as the daemon's, for a program that tries everything; and without them, to see that it can."""
    machine.write("/usr/lib/sandbox_probe.py", (check.source / "tests/systemd/sandbox_probe.py").read_text())
    unit = machine.path("/lib/systemd/system/millwright.service").read_text()
    broker = machine.properties("mosquitto", "MainPID")
    command = "ExecStart=/usr/bin/python3 -B /usr/lib/sandbox_probe.py {} %d %s" % (PORT, broker)
    # Another program, that ends and has no watchdog; the rest of the unit as it is.
    confined = re.sub(r"(?m)^(Type|NotifyAccess|ExecReload|WatchdogSec|Restart\w*)=.*\n", "", unit)
    confined = re.sub(r"(?m)^ExecStart=.*$", "Type=oneshot\n" + command.format(f"{STATE}/probe.json"), confined)
    confined += "[Service]\nLoadCredential=mqtt-password:/etc/millwright/mqtt-password\n"
    probe(machine, confined, "probe-in-sandbox")
    free = "[Service]\nType=oneshot\nLoadCredential=mqtt-password:/etc/millwright/mqtt-password\n"
    probe(machine, free + command.format("/tmp/probe.json") + "\n", "probe-as-root")
    try:
        inside = json.loads(machine.path(f"{STATE}/probe.json").read_text())
        outside = json.loads(machine.path("/tmp/probe.json").read_text())
    except FileNotFoundError as error:
        check.claim(False, f"the probe wrote what it found: {error}", machine.journal("probe-in-sandbox"))
        return
    identity = inside.pop("identity")
    outside.pop("identity")
    check.claim(identity["uid"] != 0 and identity["NoNewPrivs"] == "1" and identity["Seccomp"] == "2" and
                int(identity["CapEff"], 16) == 0 and int(identity["CapBnd"], 16) == 0 and identity["core"] == 0 and
                identity["files"] == 1024, f"no privileges, no way to new ones, no core dumps: {identity}")
    for name, result in inside.items():
        if name in granted:
            check.claim(result == granted[name], f"in the sandbox: {name} ({result})")
        else:
            # A call whose arguments are nonsense fails either way: by the filter with EPERM, else with another error.
            refused = {"EPERM", "SIGSYS"} if name.startswith("call ") else refusals
            check.claim(result in refused, f"in the sandbox it cannot {name}: {result}")
            check.claim(outside[name] not in refused, f"without the sandbox it can {name}: {outside[name]}")
    print(f"{len(granted)} things the sandbox grants, {len(inside) - len(granted)} it refuses and root alone is not refused")


def reloads(machine):
    changed = json.loads(json.dumps(CONFIGURATION))
    changed["profiles"][0]["limits"]["high"] = 50
    configure(machine, changed)
    status, output = machine.run("systemctl", "reload", "millwright")
    check.claim(status == 0 and "The configuration was reloaded" in machine.journal("millwright"),
                "systemctl reload takes on a changed configuration", output + machine.journal("millwright"))
    send(machine, "acme/R2/temp", "20")
    send(machine, "acme/R2/temp", "60")
    check.claim(state_of(machine, "state/R2/temp/limit").get("state") == "active", "the new limit is in force")
    configure(machine, "{ \"sight\": 1 }")
    machine.run("systemctl", "reload", "millwright")
    check.claim(wait_until(lambda: "the old one stays in force" in machine.journal("millwright")) and connected(machine),
                "a configuration with errors is refused and changes nothing", machine.journal("millwright"))
    configure(machine, CONFIGURATION)
    machine.run("systemctl", "reload", "millwright")


def hangs_and_is_restarted(machine, name):
    """A thread stands still: the watchdog is not fed, and systemd starts the daemon anew."""
    before = int(machine.properties("millwright", "NRestarts"))
    pid = main_pid(machine)
    timeout = 120 if full else 20
    # The first thread has the number of the process; the session's is called as the program, too.
    with Stopped(pid if name == "millwright" else thread_of(pid, name)):
        check.claim(wait_until(lambda: machine.journal("millwright").count("Watchdog timeout") == before + 1, timeout),
                    f"systemd sees that {name} hangs", machine.journal("millwright"))
    check.claim(wait_until(lambda: machine.properties("millwright", "NRestarts", "SubState") ==
                           {"NRestarts": str(before + 1), "SubState": "running"} and connected(machine), timeout),
                f"after {name} hung, it runs and is connected again", machine.journal("millwright"))
    said = machine.journal("millwright")
    check.claim("made no progress" in said, "the daemon has said so before", said)
    check.claim(state_of(machine, "state/R1/temp/limit").get("state") == "active", "the alert is still active")


def hangs_are_found(machine):
    if not full:
        drop_in(machine, "quick", "WatchdogSec=4", "RestartSec=1")
        machine.run("systemctl", "restart", "millwright")
        wait_until(lambda: connected(machine))
    for name in ("lane-0", "writer", "millwright", *(("MQTTAsync_rcv",) if full else ())):
        hangs_and_is_restarted(machine, name)
    if not full:
        print("WatchdogSec and RestartSec were 4 s and 1 s here; with MILLWRIGHT_TEST_SCALE=full they are as shipped")
    machine.path("/etc/systemd/system/millwright.service.d/quick.conf").unlink(missing_ok=True)
    machine.run("systemctl", "daemon-reload")


def survives_a_kill(machine):
    """The journal is in the runtime directory, which the unit preserves: no checkpoint comes that could stand for it."""
    configure(machine, {**CONFIGURATION, "processing": {"checkpoint_interval_s": 600}})
    machine.run("systemctl", "restart", "millwright")
    wait_until(lambda: connected(machine))
    # Its alert tells that the reading was taken in, and so is in the journal.
    send(machine, "acme/R8/temp", "96")
    check.claim(state_of(machine, "state/R8/temp/limit").get("state") == "active",
                "a reading before the kill raises its alert", machine.journal("millwright"))
    said_before = len(machine.journal("millwright"))
    os.kill(main_pid(machine), signal.SIGKILL)
    waits = wait_until(lambda: machine.properties("millwright", "SubState") == "auto-restart", 5)
    check.claim(waits, "after a kill it is to be started again, but not at once")
    machine.run("systemctl", "start", "millwright")
    check.claim(wait_until(lambda: connected(machine)), "and it goes on", machine.journal("millwright"))
    check.claim(state_of(machine, "state/R1/temp/limit").get("state") == "active", "the alert is still active after a kill")
    said = machine.journal("millwright")[said_before:]
    check.claim(re.search(r"A lane goes on where it stopped.* journal_records=[1-9]", said) is not None,
                "what was in the journal is worked off after a kill", said)
    configure(machine, CONFIGURATION)
    machine.run("systemctl", "restart", "millwright")
    wait_until(lambda: connected(machine))


def tells_that_the_broker_is_away(machine):
    machine.run("systemctl", "stop", "mosquitto")
    status = lambda: machine.properties("millwright", "StatusText")
    check.claim(wait_until(lambda: status().startswith("not connected"), 20), f"STATUS tells that the broker is away: {status()}")
    machine.run("systemctl", "start", "mosquitto")
    check.claim(wait_until(lambda: connected(machine), 60), "and that it is back", status())


def goes_on_where_the_disk_is_read_only(machine):
    """As the kernel makes it after a power cut (errors=remount-ro)."""
    drop_in(machine, "read-only", f"ReadOnlyPaths={STATE}")
    machine.run("systemctl", "reset-failed", "millwright")
    machine.run("systemctl", "start", "millwright")
    check.claim(wait_until(lambda: connected(machine), 30), "it starts with a state directory that is read-only",
                machine.journal("millwright")[-3000:])
    said_before = len(machine.journal("millwright"))
    send(machine, "acme/R9/temp", "95")
    check.claim(state_of(machine, "state/R9/temp/limit").get("state") == "active", "and detects",
                machine.journal("millwright")[said_before:])
    case = state_of(machine, "state/_plant/_archive/sensor_case", 20)
    check.claim("Read-only" in case.get("message", ""), f"and says why: {case}", machine.journal("millwright")[-3000:])
    machine.run("systemctl", "stop", "millwright")
    remove_drop_in(machine, "read-only")


def stops(machine):
    status, output = machine.run("systemctl", "stop", "millwright")
    result = machine.properties("millwright", "Result", "ExecMainStatus")
    check.claim(status == 0 and result == {"Result": "success", "ExecMainStatus": "0"}, f"it stops cleanly: {result}", output)
    check.claim(state_of(machine, "status").get("status") == "offline", "it has said that it is offline")


def starts_of(machine):
    return machine.journal("millwright").count("Starting millwright.service")


def remove_drop_in(machine, name):
    machine.path(f"/etc/systemd/system/millwright.service.d/{name}.conf").unlink()
    machine.run("systemctl", "daemon-reload")


class Trouble:
    """What keeps the daemon from starting: how it comes and goes, with which status it ends, what it says."""

    def __init__(self, name, status, sentence, make, end):
        self.name, self.status, self.sentence, self.make, self.end = name, status, sentence, make, end


def lock_of(machine):
    return machine.path(f"{STATE}/lock")


def lock_becomes_a_folder(machine):
    lock_of(machine).unlink()
    lock_of(machine).mkdir(0o700)


def small_journal(machine):
    machine.path(f"{STATE}/small").mkdir(exist_ok=True)
    machine.run("mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", f"{STATE}/small")
    configure(machine, {**CONFIGURATION, "processing": {"journal_directory": "/var/lib/millwright/small"}})


def no_small_journal(machine):
    machine.run("umount", f"{STATE}/small")
    configure(machine, CONFIGURATION)


password = "/etc/systemd/system/millwright.service.d/password.conf"
troubles = (
    Trouble("a configuration with errors", 78, "millwright.json:1:3: error: /sight",
            lambda machine: configure(machine, '{ "sight": 1 }'), lambda machine: configure(machine, CONFIGURATION)),
    Trouble("a configuration that is not there", 78, "/etc/millwright/millwright.json",
            lambda machine: machine.path("/etc/millwright/millwright.json").unlink(),
            lambda machine: configure(machine, CONFIGURATION)),
    Trouble("a credential that the unit does not give", 78, "add LoadCredential=mqtt-password:FILE to the unit",
            lambda machine: machine.path(password).unlink(),
            lambda machine: machine.write(password, (examples / "password.conf").read_text())),
    Trouble("a file of another user in the state directory", 74, "cannot be written: Permission denied",
            lambda machine: os.chown(lock_of(machine), 0, 0),
            lambda machine: lock_of(machine).unlink()),
    Trouble("no space for the journal", 74, "No space left on device", small_journal, no_small_journal),
)


def ends_cleanly(machine, trouble):
    """One sentence, the right status, and no start again at once."""
    machine.run("systemctl", "reset-failed", "millwright")
    trouble.make(machine)
    machine.run("systemctl", "daemon-reload")
    said_before, before = len(machine.journal("millwright")), starts_of(machine)
    machine.run("systemctl", "start", "millwright")
    is_now = machine.properties("millwright", "ActiveState", "SubState", "ExecMainStatus", "RestartUSec")
    left_alone = trouble.status == 78
    expected = {"ActiveState": "failed" if left_alone else "activating",
                "SubState": "failed" if left_alone else "auto-restart", "ExecMainStatus": str(trouble.status),
                "RestartUSec": "10s"}
    said = machine.journal("millwright")[said_before:]
    check.claim(is_now == expected, f"{trouble.name}: {is_now}, expected {expected}", said)
    check.claim(trouble.sentence in said, f"{trouble.name}: it says why", said)
    check.claim(starts_of(machine) == before + 1, f"{trouble.name}: it is not started again at once", said)
    machine.run("systemctl", "stop", "millwright")
    trouble.end(machine)
    machine.run("systemctl", "daemon-reload")


def ends_do_not_run_hot(machine):
    for trouble in troubles:
        ends_cleanly(machine, trouble)
    print(f"{len(troubles)} troubles at the start end with the right status")

    # Trouble that passes: it starts by itself.
    lock_becomes_a_folder(machine)
    machine.run("systemctl", "start", "millwright")
    lock_of(machine).rmdir()
    check.claim(wait_until(lambda: connected(machine), 30), "when the trouble is over, it starts by itself",
                machine.journal("millwright"))
    machine.run("systemctl", "stop", "millwright")

    # Trouble that stays: tried as often as the unit says, then left alone.
    drop_in(machine, "quick", "RestartSec=50ms")
    machine.run("systemctl", "reset-failed", "millwright")
    lock_becomes_a_folder(machine)
    before = starts_of(machine)
    machine.run("systemctl", "start", "millwright")
    failed = wait_until(lambda: machine.properties("millwright", "ActiveState") == "failed", 50)
    burst = int(machine.properties("millwright", "StartLimitBurst"))
    check.claim(failed and starts_of(machine) - before == burst == 30,
                f"trouble that stays is tried {burst} times and then left as failed; seen: {starts_of(machine) - before}",
                machine.journal("millwright")[-2000:])


try:
    with Machine() as machine:
        set_up(machine)
        if starts_and_watches(machine):
            is_confined(machine)
            reloads(machine)
            hangs_are_found(machine)
            survives_a_kill(machine)
            tells_that_the_broker_is_away(machine)
            stops(machine)
            goes_on_where_the_disk_is_read_only(machine)
            ends_do_not_run_hot(machine)
except NotPermitted as why:
    print(f"SKIPPED: the sandbox was NOT exercised, for a machine cannot be made here: {why}")
    sys.exit(77)
check.done()
