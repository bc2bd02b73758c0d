#!/usr/bin/env python3
"""Tries what a daemon that somebody has taken over would try, and writes what came of it as JSON: `done`, or the name of
the error. sandbox_check.py runs it twice: in the sandbox of the unit, and as root without one, where nothing but its own
harmless arguments may stop it.

    sandbox_probe.py OUTPUT.json BROKER-PORT FOREIGN-PID
"""
import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
output, broker_port, foreign_pid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
results = {}
HOME = "/home"


def attempt(name, action):
    try:
        value = action()
        results[name] = "done" if value is None else str(value)
    except OSError as error:
        results[name] = errno.errorcode.get(error.errno, str(error))


def write(path):
    def action():
        with open(path, "w") as file:
            file.write("x")
        os.unlink(path)
    return action


def append(path):  # to a file that is there
    return lambda: os.close(os.open(path, os.O_WRONLY | os.O_APPEND))


def read(path):
    def action():
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            os.read(file, 64)
        finally:
            os.close(file)
    return action


def checked(result):
    if result == -1 or result == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "")
    return result


def call(number, *arguments):
    """A system call whose arguments can do no harm: where it is not filtered, it fails with another error than EPERM."""
    def action():
        checked(libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments]))
    return action


def in_child(action):
    """For what may end the process."""
    def attempt_there():
        child = os.fork()
        if child == 0:
            try:
                action()
                os._exit(0)
            except OSError as error:
                os._exit(error.errno)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status > 0:
            raise OSError(status, "")
        return None if status == 0 else signal.Signals(-status).name
    return attempt_there


def connect(address, port):
    def action():
        with socket.socket() as client:
            client.settimeout(3)
            client.connect((address, port))
    return action


def send_datagram(address):
    def action():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", (address, 9))
    return action


def listen():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))


def writable_and_executable():
    checked(libc.mmap(None, 4096, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC,
                      mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0))


def made_executable():
    at = checked(libc.mmap(None, 4096, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0))
    checked(libc.mprotect(at, 4096, mmap.PROT_READ | mmap.PROT_EXEC))


def made_setuid():
    file = Path(os.environ.get("STATE_DIRECTORY", "/tmp")) / "setuid"
    file.write_text("")
    try:
        file.chmod(0o4755)
    finally:
        file.unlink()


def setuid_program():
    identity = subprocess.run(["/usr/local/bin/id-as-root", "-u"], stdout=subprocess.PIPE, text=True, check=True).stdout
    if identity.strip() != "0":
        raise OSError(errno.EPERM, "")


def foreign_processes():
    if not os.path.exists(f"/proc/{foreign_pid}"):
        raise OSError(errno.ENOENT, "")


def own_file(folder):
    def action():
        file = Path(folder) / "probe"
        file.write_text("x")
        mode = file.stat().st_mode & 0o777
        file.unlink()
        return f"{mode:o}"
    return action


status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
results["identity"] = {"uid": os.getuid(), "NoNewPrivs": status["NoNewPrivs"], "Seccomp": status["Seccomp"],
                       "CapEff": status["CapEff"], "CapBnd": status["CapBnd"],
                       "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
                       "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1]}

# What the daemon needs.
attempt("writes its state", own_file(os.environ.get("STATE_DIRECTORY", "/tmp")))
attempt("writes its journal", own_file(os.environ.get("RUNTIME_DIRECTORY", "/tmp")))
attempt("writes temporary files", own_file("/tmp"))
attempt("reads its configuration", read("/etc/millwright/millwright.json"))
attempt("reads its credential", read(os.environ.get("CREDENTIALS_DIRECTORY", "/etc/millwright") + "/mqtt-password"))
attempt("reaches the broker", connect("127.0.0.1", broker_port))

# What nobody needs.
for folder in ("/etc", "/etc/millwright", "/usr/bin", "/usr/lib", "/home", "/root", "/boot", "/opt", "/srv", "/var/lib",
               "/var/log", "/var/lib/mosquitto", "/run", "/shared", "/"):
    attempt(f"write {folder}", write(f"{folder}/millwright-probe"))
attempt("make a cgroup", lambda: os.mkdir("/sys/fs/cgroup/system.slice/probe") or os.rmdir("/sys/fs/cgroup/system.slice/probe"))
attempt("change its configuration", append("/etc/millwright/millwright.json"))
attempt("change its program", append("/usr/bin/millwright"))
attempt("set a kernel tunable", append("/proc/sys/kernel/core_pattern"))
attempt("read /etc/shadow", read("/etc/shadow"))
attempt("read the password's file", read("/etc/millwright/mqtt-password"))
attempt("read another service's file", read("/var/lib/mosquitto/secret"))
attempt("read the home of a person", read(HOME + "/anna/secret"))
attempt("read the kernel's log", read("/dev/kmsg"))
attempt("make a device", lambda: os.mknod("/tmp/device", 0o20600, os.makedev(1, 1)))
attempt("see another service's process", foreign_processes)
attempt("signal another service's process", lambda: os.kill(foreign_pid, 0))
attempt("connect to another host", connect("192.0.2.10", broker_port))
attempt("send to another host", send_datagram("192.0.2.10"))
attempt("listen", listen)
attempt("open a packet socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close())
attempt("open a netlink socket", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close())
attempt("open a raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close())
attempt("map memory writable and executable", writable_and_executable)
attempt("make memory executable", made_executable)
attempt("make a file set-user-id", made_setuid)
attempt("become root by a set-user-id program", setuid_program)
for name, flag in (("user", 0x10000000), ("mount", 0x00020000), ("network", 0x40000000)):
    attempt(f"make a {name} namespace", in_child(lambda flag=flag: checked(libc.unshare(flag))))
attempt("take a higher priority", lambda: os.setpriority(os.PRIO_PROCESS, 0, -1))
attempt("take real-time scheduling", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
if os.uname().machine == "x86_64":
    for name, number, arguments in (
            ("mount", 165, ()), ("umount", 166, ()), ("pivot_root", 155, ()), ("chroot", 161, ()), 
            ("process_vm_readv", 310, (0, 0, 0, 0, 0, -1)), ("kexec_load", 246, (0, 0, 0, -1)),
            ("init_module", 175, ()), ("delete_module", 176, ()), ("reboot", 169, ()), ("swapon", 167, ()),
            ("settimeofday", 164, (1, 0)), ("clock_settime", 227, (0, 0)), ("bpf", 321, (-1,)),
            ("perf_event_open", 298, ()), ("add_key", 248, ()), ("personality", 135, (0x0040000,)),
            ("iopl", 172, (7,)), ("sethostname", 170, (0, -1)), ("quotactl", 179, (-1,)), ("userfaultfd", 323, (-1,)),
            ("io_uring_setup", 425, ())):
        attempt(f"call {name}", call(number, *arguments))
    attempt("call ptrace", in_child(call(101, 0)))
    attempt("call by another architecture's numbers", in_child(call(0x40000000 | 39)))

Path(output).write_text(json.dumps(results))
