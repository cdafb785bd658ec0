"""Runs where OpenOCD runs, and writes down what it may do there: to the file that is its argument, as a JSON object of
names and "ok" or the name of an error."""

import ctypes
import errno
import json
import mmap
import os
import socket
import stat
import sys


def write(path):
    with open(path, "w", encoding="utf-8") as file:
        file.write("x")
    os.unlink(path)


def make_setuid():
    path = "/tmp/probe"
    with open(path, "w", encoding="utf-8"):
        pass
    os.chmod(path, 0o600)
    os.chmod(path, stat.S_ISUID | 0o700)


def unshare():
    if ctypes.CDLL(None, use_errno=True).unshare(0x10000000) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def open_device(path):
    os.close(os.open(path, os.O_RDWR))


TRIES = {
    "state": lambda: write("/var/lib/ocdmux/probe"),
    "logs": lambda: write("/var/log/ocdmux/probe"),
    "runtime": lambda: write("/run/ocdmux/probe"),
    "tmp": lambda: write("/tmp/probe-mine"),
    "shm": lambda: write("/dev/shm/probe"),
    "etc": lambda: write("/etc/probe"),
    "config": lambda: write("/etc/ocdmux/probe"),
    "usr": lambda: write("/usr/probe"),
    "lab": lambda: write("/srv/lab/open/probe"),
    "tmp_outside": lambda: os.stat("/tmp/outside"),
    "home": lambda: os.listdir("/home/somebody"),
    "process_1": lambda: os.listdir("/proc/1/fd"),
    "inet": lambda: socket.socket(socket.AF_INET).close(),
    "unix": lambda: socket.socket(socket.AF_UNIX).close(),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close(),
    "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "write_execute": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close(),
    "namespace": unshare,
    "setuid_file": make_setuid,
    "realtime": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "root": lambda: os.setuid(0),
    "hostname": lambda: socket.sethostname("x"),
    "usb": lambda: open_device("/dev/bus/usb/001/001"),
    "kmsg": lambda: open_device("/dev/probe-kmsg"),
}


def attempt(what):
    try:
        what()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "ok"


result = {name: attempt(what) for name, what in TRIES.items()}
result["groups"] = os.getgroups()
with open(sys.argv[1] + ".new", "w", encoding="utf-8") as out:
    json.dump(result, out)
os.rename(sys.argv[1] + ".new", sys.argv[1])
