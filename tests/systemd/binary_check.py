#!/usr/bin/env python3
"""The program as it ships: hardened by every flag of cmake/millwright.cmake, seen in the binary itself. That each claim can
fail is seen on a small program that is built without the one flag."""
import json
import platform
import re

from harness import Check, cache_entry, run

check = Check()
compiler = cache_entry(check.build, "CMAKE_CXX_COMPILER")
program = check.build / "daemon/millwright"
compile_flags = {
    "stack protector": "-fstack-protector-strong",
    "stack clash protection": "-fstack-clash-protection",
    "control flow protection": "-fcf-protection",
    "checked calls of libc": "-D_FORTIFY_SOURCE=3",
    "assertions of the standard library": "-D_GLIBCXX_ASSERTIONS",
}
# What is taken away, and what is given instead for the compiler's own default not to bring it back.
without = {
    "stack protector": ("-fstack-protector-strong", "-fno-stack-protector"),
    "stack clash protection": ("-fstack-clash-protection", "-fno-stack-clash-protection"),
    "control flow protection": ("-fcf-protection", "-fcf-protection=none"),
    "checked calls of libc": ("-D_FORTIFY_SOURCE=3", "-DNOTHING"),
    "assertions of the standard library": ("-D_GLIBCXX_ASSERTIONS", "-DNOTHING"),
    "position independent": ("-pie", "-no-pie"),
    "read-only relocations, bound at the start": ("-Wl,-z,now", "-Wl,-z,lazy"),
    "no executable stack": ("-Wl,-z,noexecstack", "-Wl,-z,execstack"),
    "no library path": ("-Wl,--enable-new-dtags", "-Wl,-rpath,/tmp"),
}
if platform.machine() != "x86_64":
    del compile_flags["control flow protection"], without["control flow protection"]


def tool(*command):
    status, output = run(*command)
    if status != 0:
        raise RuntimeError(f"{command}: {output}")
    return output


def producers(file):
    """What each compilation unit was compiled with, as g++ writes it into the debug information."""
    return set(re.findall(rb"GNU C\+\+[ -~]+", file.read_bytes()))


def properties(file):
    header, segments = tool("readelf", "-hW", file), tool("readelf", "-lW", file)
    dynamic, symbols = tool("readelf", "-dW", file), tool("readelf", "--dyn-syms", "-W", file)
    stack = re.search(r"GNU_STACK\s+(?:0x\w+\s+){5}(\w+)", segments)
    made = producers(file)

    def everywhere(*flags):
        return bool(made) and all(any(flag in one for flag in flags) for one in made)
    has = {
        "position independent": "DYN" in header and "PIE" in dynamic,
        "read-only relocations, bound at the start": "GNU_RELRO" in segments and "BIND_NOW" in dynamic,
        "no executable stack": bool(stack) and "E" not in stack.group(1),
        "no library path": not re.search(r"\((RPATH|RUNPATH)\)", dynamic),
        "stack protector": "__stack_chk_fail" in symbols and everywhere(b"-fstack-protector-strong"),
        "stack clash protection": everywhere(b"-fstack-clash-protection"),
        "checked calls of libc": bool(re.search(r"\b__(?!stack)\w+_chk\b", symbols)),
        "assertions of the standard library": "__glibcxx_assert_fail" in symbols,
    }
    if "control flow protection" in compile_flags:
        has["control flow protection"] = everywhere(b"-fcf-protection ", b"-fcf-protection=full")
    return has


def names(found):
    return ", ".join(sorted(name for name, holds in found.items() if not holds)) or "none"


found = properties(program)
for name, holds in found.items():
    check.claim(holds, f"the program has: {name}", b"\n".join(sorted(producers(program))).decode())

# The level of fortification, and the assertions, are told by no symbol for each file: by its command line.
commands = [entry["command"] for entry in json.loads((check.build / "compile_commands.json").read_text())
            if not re.search(r"/(tests|bench)/", entry["file"])]
check.claim(len(commands) > 50, "the command lines of our sources were found")
for name, flag in compile_flags.items():
    missing = [command.split()[-1] for command in commands if f" {flag} " not in f" {command} "]
    check.claim(not missing, f"every source is compiled with {flag}", "\n".join(missing))

# Debian's crt1.o has no note of IBT and shadow stacks, so the linker cannot put one into the program. Our part has it.
if "control flow protection" in compile_flags:
    notes = tool("readelf", "-nW", check.build / "daemon/CMakeFiles/millwright.dir/main.cpp.o")
    check.claim("IBT, SHSTK" in notes, "our objects are ready for IBT and shadow stacks", notes)

small = check.temp / "small.cpp"
small.write_text("""
#include <cstdio>
#include <cstring>
#include <vector>
int main(int argc, char** argv) {
  char buffer[40000];
  std::vector<int> values(static_cast<std::size_t>(argc), 1);
  std::memcpy(buffer, argv[0], static_cast<std::size_t>(argc) * 3);
  std::snprintf(buffer, static_cast<std::size_t>(argc), "%s", argv[0]);
  return values[static_cast<std::size_t>(argc) / 2] + buffer[argc];
}
""")
flags = ["-O2", "-g", "-fPIE", *compile_flags.values(), "-pie", "-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack",
         "-Wl,--enable-new-dtags"]
whole = check.temp / "whole"
tool(compiler, small, "-o", whole, *flags)
check.claim(names(properties(whole)) == "none", "a small program with all flags has everything",
            names(properties(whole)))
for name, (flag, instead) in without.items():
    lacking = check.temp / "lacking"
    left = [instead if one == flag else one for one in flags]
    if instead == "-no-pie":
        left.remove("-fPIE")
    tool(compiler, small, "-o", lacking, *left)
    check.claim(names(properties(lacking)) == name, f"without {flag} this check would say: {name}",
                names(properties(lacking)))

check.done()
