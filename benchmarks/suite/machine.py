"""Describes the machine and the versions of what was compared, from what any user may read."""
import glob
import os
import platform
import re
import shutil
import subprocess


def _read(path, default=""):
    try:
        with open(path) as f:
            return f.read().strip()
    except OSError:
        return default


def _line(command):
    try:
        out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20, text=True).stdout
        return out.strip().splitlines()[0] if out.strip() else ""
    except (OSError, subprocess.TimeoutExpired):
        return ""


def machine():
    info = _read("/proc/cpuinfo")
    model = re.search(r"^model name\s*: (.*)$", info, re.M)
    memory = re.search(r"^MemTotal:\s*(\d+)", _read("/proc/meminfo"), re.M)
    release = re.search(r'^PRETTY_NAME="(.*)"', _read("/etc/os-release"), re.M)
    thp = re.search(r"\[(\w+)\]", _read("/sys/kernel/mm/transparent_hugepage/enabled"))
    caches = {}
    for index in glob.glob("/sys/devices/system/cpu/cpu0/cache/index*"):
        if _read(index + "/type") != "Instruction":
            caches["L" + _read(index + "/level")] = _read(index + "/size")
    return {
        "processor": model.group(1) if model else platform.machine(), "cores": len(os.sched_getaffinity(0)),
        "caches": ", ".join("%s %s" % item for item in sorted(caches.items())),
        "memory_gib": round(int(memory.group(1)) / 2**20, 1) if memory else None,
        "kernel": platform.release(), "system": release.group(1) if release else "",
        "virtual": "yes" if re.search(r"^flags.*\bhypervisor\b", info, re.M) else "no",
        "huge_pages": thp.group(1) if thp else "",
            "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "unknown",
        "kvm": "yes" if os.access("/dev/kvm", os.R_OK | os.W_OK) else "no",
        "clock": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
    }


def versions(top, compiler):
    found = {"compiler": _line([compiler, "--version"]), "glibc": " ".join(platform.libc_ver())}
    commit = _line(["git", "-C", top, "rev-parse", "--short=12", "HEAD"])
    if commit:
        changed = _line(["git", "-C", top, "status", "--porcelain", "--untracked-files=no"])
        found["commit"] = commit + (" with changes" if changed else "")
    if shutil.which("dpkg-query"):
        for name, package in (("jemalloc", "libjemalloc2"), ("mimalloc", "libmimalloc2.0"), ("expat", "libexpat1"),
                              ("google benchmark", "libbenchmark1debian"), ("guile", "guile-3.0"), ("w3m", "w3m")):
            version = _line(["dpkg-query", "-W", "-f", "${Version}\n", package])
            if version:
                found[name] = version
    return found
