"""What the checks of installation, unit and broker example share: arguments, claims, commands."""
import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def resolved(path):
    return Path(path).resolve()


class Check:
    """Collects claims; `done` exits with 1 when any did not hold, or when none was made."""

    def __init__(self):
        parser = argparse.ArgumentParser()
        parser.add_argument("--source", type=resolved, required=True)
        parser.add_argument("--build", type=resolved, required=True)
        parser.add_argument("--cmake", default="cmake")
        arguments = parser.parse_args()
        self.source, self.build, self.cmake = arguments.source, arguments.build, arguments.cmake
        self.failed = self.held = 0
        self._folder = tempfile.TemporaryDirectory(prefix="millwright-")
        self.temp = Path(self._folder.name)

    def claim(self, holds, sentence, detail=""):
        if holds:
            self.held += 1
        else:
            self.failed += 1
            print(f"FAILED: {sentence}" + (f"\n{detail}" if detail else ""))
        return bool(holds)

    def done(self):
        self._folder.cleanup()
        print(f"{self.held} claims held, {self.failed} did not")
        sys.exit(1 if self.failed or not self.held else 0)


def run(*command, **environment):
    """Exit status and everything the command printed."""
    result = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=50, check=False,
                            env={**os.environ, "LC_ALL": "C.UTF-8", **environment})
    return result.returncode, result.stdout


def cache_entry(build, name):
    for line in (build / "CMakeCache.txt").read_text().splitlines():
        if line.startswith(name + ":"):
            return line.split("=", 1)[1]
    raise KeyError(name)
