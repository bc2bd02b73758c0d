#!/usr/bin/env python3
"""Installs the build into an empty folder and looks at what is there: exactly the files that belong there."""
import json
import os
import re
import stat

from harness import Check, cache_entry, run

check = Check()
root = check.temp / "root"
prefix = cache_entry(check.build, "CMAKE_INSTALL_PREFIX").lstrip("/")
unit_folder = cache_entry(check.build, "MILLWRIGHT_UNIT_DIR").lstrip("/")
documents = f"{prefix}/share/doc/millwright"

status, output = run(check.cmake, "--install", check.build, DESTDIR=str(root))
check.claim(status == 0, "cmake --install succeeds", output)

expected = {
    f"{prefix}/bin/millwright",
    f"{unit_folder}/millwright.service",
    f"{prefix}/share/millwright/config.schema.json",
    f"{prefix}/share/millwright/alert.schema.json",
    f"{prefix}/share/millwright/health.schema.json",
    f"{prefix}/share/millwright/status.schema.json",
    f"{prefix}/share/millwright/command.schema.json",
    f"{prefix}/share/millwright/answer.schema.json",
    f"{prefix}/share/millwright/service.schema.json",
    f"{documents}/README.md",
    f"{documents}/CHANGELOG.md",
    f"{documents}/LICENSE",
    f"{documents}/examples/minimal.json",
    f"{documents}/examples/fleet.json",
    f"{documents}/examples/systemd/README.md",
    f"{documents}/examples/systemd/password.conf",
    f"{documents}/examples/systemd/broker-on-lan.conf",
    f"{documents}/examples/systemd/millwright.sysusers",
    f"{documents}/examples/systemd/wait-for-time.conf",
    f"{documents}/examples/systemd/mosquitto/millwright.conf",
    f"{documents}/examples/systemd/mosquitto/millwright.acl",
}
expected |= {f"{documents}/examples/{file.name}" for file in (check.source / "config/examples").glob("*.json")}
expected |= {f"{documents}/{file.relative_to(check.source)}" for file in (check.source / "docs").rglob("*.md")}

installed = {str(file.relative_to(root)) for file in root.rglob("*") if not file.is_dir()}
check.claim(installed == expected, "exactly what belongs there is installed",
            "\n".join([f"  missing: {name}" for name in sorted(expected - installed)] +
                      [f"  not expected: {name}" for name in sorted(installed - expected)]))
check.claim(not (root / "etc").exists(), "nothing is installed in /etc, so no configuration can be overwritten")

for name in sorted(installed):
    mode = stat.S_IMODE((root / name).stat().st_mode)
    right = 0o755 if name == f"{prefix}/bin/millwright" else 0o644
    check.claim(mode == right, f"{name} has mode {right:o}, not {mode:o}")

program = root / prefix / "bin/millwright"
if program.exists():
    status, output = run(program, "--version")
    check.claim(status == 0 and re.search(r"\d+\.\d+\.\d+", output), "the installed program names its version", output)
    for example in sorted((root / documents / "examples").glob("*.json")):
        status, output = run(program, "check-config", example)
        check.claim(status == 0, f"the example {example.name} is a configuration without errors", output)

for name in ("config", "alert"):
    schema = root / prefix / f"share/millwright/{name}.schema.json"
    if schema.exists():
        text = schema.read_text()
        try:
            check.claim("$schema" in json.loads(text), f"{schema.name} is a JSON Schema")
        except ValueError as error:
            check.claim(False, f"{schema.name} is JSON", f"{error}: {text[:200]}")

unit = root / unit_folder / "millwright.service"
if unit.exists():
    started = re.search(r"^ExecStart=(\S+)", unit.read_text(), re.M).group(1)
    check.claim(os.access(root / started.lstrip("/"), os.X_OK), f"the unit starts what is installed: {started}")

# Links between the documents lead somewhere in the source tree, and so do those of the installed README.
for folder in (check.source, root / documents):
    pages = [folder / "README.md", *sorted((folder / "docs").rglob("*.md"))]
    for page in (page for page in pages if page.exists()):
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
            if folder == check.source or target.startswith("docs/") and page.name == "README.md":
                check.claim((page.parent / target).exists(), f"{page.relative_to(folder)} links to {target}")

minimal = (check.source / "config/examples/minimal.json").read_text().strip()
check.claim(minimal in (check.source / "README.md").read_text(), "README.md shows config/examples/minimal.json as it is")

check.done()
