#!/usr/bin/env python3
"""The unit, as it is installed and with its example drop-ins: systemd finds no mistake, and the sandbox stays tight."""
import re

from harness import Check, run

EXPOSURE_LIMIT = 0.9      # broker on this machine
EXPOSURE_LIMIT_LAN = 1.0  # with a drop-in that names other machines

check = Check()
unit = (check.build / "systemd/millwright.service").read_text()
examples = check.source / "systemd/examples"
program = check.build / "daemon/millwright"


def stage(name, text, *drop_ins):
    """A folder with the unit and its drop-ins; the unit starts the program that was built."""
    folder = check.temp / name
    (folder / "millwright.service.d").mkdir(parents=True)
    for number, drop_in in enumerate(drop_ins):
        (folder / "millwright.service.d" / f"{number}.conf").write_text((examples / drop_in).read_text())
    file = folder / "millwright.service"
    file.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={program}", text))
    return file


def verify(file):
    """True when systemd finds nothing to say about the unit."""
    status, output = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", file)
    said = [line for line in output.splitlines() if "millwright.service" in line or str(file.parent) in line]
    return status == 0 and not said, output


def exposure(file):
    _, output = run("systemd-analyze", "security", "--no-pager", "--offline=yes", file)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", output)
    return (float(found.group(1)), output) if found else (float("inf"), output)


plain = stage("plain", unit)
lan = stage("lan", unit, "password.conf", "broker-on-lan.conf", "wait-for-time.conf")
for name, file, limit in (("the unit", plain, EXPOSURE_LIMIT),
                          ("the unit with a broker on the LAN and a password", lan, EXPOSURE_LIMIT_LAN)):
    right, output = verify(file)
    check.claim(right, f"systemd-analyze verify finds no mistake in {name}", output)
    level, output = exposure(file)
    print(f"exposure of {name}: {level} (limit {limit})")
    check.claim(level <= limit, f"exposure of {name} is {level}, at most {limit}",
                "\n".join(line for line in output.splitlines() if line.startswith("✗")))

# These checks can fail: a unit with a mistake in it, a drop-in that is not there, a sandbox with a hole.
broken = {
    "a misspelt key": unit.replace("WatchdogSec=", "WatchdogSecs="),
    "an impossible value": unit.replace("WatchdogSec=30", "WatchdogSec=soon"),
    "an unknown group of system calls": unit.replace("@privileged", "@priviledged"),
}
for number, (mistake, text) in enumerate(broken.items()):
    check.claim(text != unit, f"the unit has the line that {mistake} goes into")
    right, output = verify(stage(f"broken-{number}", text))
    check.claim(not right, f"systemd-analyze verify complains of {mistake}", output)
missing = stage("missing", unit)
missing.write_text(missing.read_text().replace(str(program), str(program) + "-not-there"))
check.claim(not verify(missing)[0], "systemd-analyze verify complains of a program that is not there")
holes = re.sub(r"(?m)^(ProtectSystem|SystemCallFilter|PrivateUsers)=.*\n", "", unit)
check.claim(exposure(stage("holes", holes))[0] > EXPOSURE_LIMIT, "a sandbox with holes is over the limit")
check.claim(exposure(lan)[0] > exposure(plain)[0], "the drop-ins were looked at: the LAN is more exposed")

# The exit codes after which systemd does not restart are those of the program that need a person.
codes = dict(re.findall(r"exit_(\w+) = (\d+)", (check.source / "daemon/command.h").read_text()))
prevented = set(re.search(r"(?m)^RestartPreventExitStatus=(.*)$", unit).group(1).split())
check.claim(prevented == {codes["config"], codes["usage"]}, f"no restart after usage and configuration errors: {prevented}")

# The example for a fixed user is one that systemd-sysusers takes.
system = check.temp / "system"
(system / "etc").mkdir(parents=True)
status, output = run("systemd-sysusers", f"--root={system}", examples / "millwright.sysusers")
users = (system / "etc/passwd").read_text() if (system / "etc/passwd").exists() else ""
check.claim(status == 0 and users.startswith("millwright:"), "systemd-sysusers makes the user of the example", output)

check.done()
