"""A machine with a systemd of its own as PID 1, in namespaces on this one: what units really do, without a boot."""
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path


class NotPermitted(Exception):
    """Namespaces, an overlay or systemd cannot be had here; the text says what was refused."""


refusals = ("not permitted", "permission denied")


def wait_until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


def own_cgroup():
    """The folder of this process in the unified hierarchy."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    roots = [fields[1] for fields in mounts if fields[2] == "cgroup2"]
    if not roots:
        raise NotPermitted("no cgroup2 is mounted")
    path = next(line.split("::", 1)[1] for line in Path("/proc/self/cgroup").read_text().splitlines()
                if line.startswith("0::"))
    return Path(roots[0]) / path.lstrip("/")


class Machine:
    """Booted by `with`; ends with everything in it when the block does, and with the test however that ends."""

    def __init__(self):
        self.pid = None
        self._unshare = self._cgroup = None
        self._folder = Path(tempfile.mkdtemp(prefix="millwright-machine-"))
        self.shared = Path(tempfile.mkdtemp(prefix="millwright-shared-"))

    def __enter__(self):
        try:
            self._boot()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_):
        self._end()

    def _boot(self):
        if os.geteuid() != 0:
            raise NotPermitted("this needs root")
        self._cgroup = own_cgroup() / f"millwright-check-{os.getpid()}"
        try:
            self._cgroup.mkdir()
        except OSError as error:
            raise NotPermitted(f"no cgroup can be made: {error}") from error
        log = self._folder.with_suffix(".log")

        def enter_cgroup():
            (self._cgroup / "cgroup.procs").write_text(str(os.getpid()))

        with log.open("w") as output:
            self._unshare = subprocess.Popen(
                ["unshare", "--kill-child=KILL", "--fork", "--pid", "--mount", "--net", "--ipc", "--uts", "--cgroup",
                 str(Path(__file__).parent / "boot_machine.sh"), str(self._folder), str(self.shared)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, preexec_fn=enter_cgroup)
        up = wait_until(lambda: self._unshare.poll() is not None or self._is_up(), 30)
        said = log.read_text()
        log.unlink()
        if self._unshare.poll() is not None and any(text in said.lower() for text in refusals):
            raise NotPermitted(said.strip())
        if self._unshare.poll() is not None or not up:
            raise RuntimeError(f"systemd did not come up: {said.strip()}")

    def _is_up(self):
        if self.pid is None:
            children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children").read_text().split()
            if not children:
                return False
            self.pid = int(children[0])
        # The script is PID 1 until it becomes systemd.
        if b"systemd" not in Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")[0]:
            return False
        return self.run("systemctl", "is-active", "machine.target")[0] == 0

    def _end(self):
        if self._unshare is not None:
            if self.pid is not None:
                # The first process of the namespace takes all others with it.
                try:
                    os.kill(self.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            else:
                self._unshare.terminate()
            self._unshare.wait(timeout=20)
        if self._cgroup is not None and self._cgroup.exists():
            wait_until(self._remove_cgroup, 10)
        self._folder.rmdir()
        shutil.rmtree(self.shared)

    def _remove_cgroup(self):
        try:
            for folder, _, _ in os.walk(self._cgroup, topdown=False):
                os.rmdir(folder)
            return True
        except OSError:  # a process in it is still on its way out
            return False

    def run(self, *command, timeout=60):
        """Exit status and output of a command in the machine."""
        result = subprocess.run(
            ["nsenter", f"--target={self.pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--",
             *[str(part) for part in command]],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
            check=False, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"})
        return result.returncode, result.stdout

    def path(self, inside):
        """Where a file of the machine is to be found from here."""
        return Path(f"/proc/{self.pid}/root") / str(inside).lstrip("/")

    def write(self, inside, text, mode=0o644):
        file = self.path(inside)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def properties(self, unit, *names):
        _, output = self.run("systemctl", "show", unit, *(f"--property={name}" for name in names))
        found = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
        return found[names[0]] if len(names) == 1 else found

    def journal(self, unit):
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")[1]
