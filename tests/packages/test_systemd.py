"""The installed service under a real systemd: readiness, sockets, reload, watchdog, crash, stop, and what the
hardening lets OpenOCD and the daemon do."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from typing import Any, Dict, Iterator, List

import pytest

from harness.client import Client
from harness.stack import FLASH_BASE, KIB, make_image
from harness.waiting import wait_until
from machine import CONFIG, LAB, LISTEN, PASSED_SOCKET, SOCKET, UNITS, Machine, matches, openocd, spawning

MOST_EXPOSURE = 30  # tenths
QUICK = "[Service]\nRestartSec=100ms\n"
ADAPTER = "/usr/share/doc/ocdmux/adapter.conf"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
# What a process of the service may do, as probe.py calls it.
MAY = {"state", "logs", "runtime", "tmp", "shm", "inet", "unix"}


def test_units_are_well_formed(machine: Machine) -> None:
    units = [f"/lib/systemd/system/{unit}" for unit in UNITS]
    assert machine.run("systemd-analyze", "verify", "--man=no", *units) == ""


def test_units_are_hardened(machine: Machine) -> None:
    said = machine.run("systemd-analyze", "security", "--no-pager", f"--threshold={MOST_EXPOSURE}", "ocdmuxd.service")
    assert "Overall exposure level" in said


def test_nothing_was_started_by_installing(machine: Machine) -> None:
    for unit in UNITS:
        assert machine.state(unit) == "inactive"
        assert machine.run("systemctl", "is-enabled", unit, check=False) == "disabled"


def test_service_is_active_when_it_serves_and_not_before(machine: Machine) -> None:
    """Held up before it reads its configuration, it is being activated; systemctl start waits for READY=1."""
    machine.run("mkfifo", "-m", "0644", f"{LAB}/gate")
    machine.configure(spawning())
    machine.drop_in("gate.conf", (
        "[Service]\nExecStart=\n"
        f"ExecStart=/bin/sh -c 'read line < {LAB}/gate; exec /usr/bin/ocdmuxd --config /etc/ocdmux/ocdmuxd.json'\n"
    ))
    with machine.popen("systemctl", "start", "ocdmuxd.service") as starting:
        wait_until(lambda: machine.state() == "activating" and machine.pid, "the shell")
        assert not machine.path(SOCKET).exists()
        assert starting.poll() is None
        machine.run("sh", "-c", f"echo > {LAB}/gate")
        assert starting.wait(60) == 0
    machine.path(f"{LAB}/gate").unlink()
    assert machine.state() == "active"
    assert machine.client().call("server.hello")["boards"] == ["board"]


def test_openocd_is_started_and_programs(machine: Machine) -> None:
    """By the daemon, under all of its hardening; files go to OpenOCD by way of the host."""
    client = machine.start(spawning())
    status = client.call("board.status")
    assert status["process"]["state"] == "running" and status["staging"] == "shared"
    image = make_image(8 * KIB, seed=2)
    machine.path(f"{LAB}/new.bin").write_bytes(image)
    assert "bytes written" in machine.run("ocdmux", "flash", f"{LAB}/new.bin", "--address", hex(FLASH_BASE))
    machine.run("ocdmux", "dump", hex(FLASH_BASE), str(len(image)), f"{LAB}/read.bin")
    assert machine.path(f"{LAB}/read.bin").read_bytes() == image
    assert machine.run("ocdmux", "verify", f"{LAB}/new.bin")


def test_clients_in_c_and_python_reach_the_board(machine: Machine) -> None:
    """An example built with what libocdmux-dev installs, and a program that imports python3-ocdmux."""
    machine.start(spawning())
    word = machine.run("ocdmux", "read", hex(FLASH_BASE), "1").split()[-1]
    assert int(word, 16) == int.from_bytes(machine.path(f"{LAB}/image.bin").read_bytes()[:4], "little")
    assert word[2:] in machine.run(f"{LAB}/read", "tcp:127.0.0.1:6670", hex(FLASH_BASE), "4")
    program = (
        "from ocdmux import Session\n"
        "with Session.connect_sync() as session:\n"
        f"    print(hex(session.memory.read_u32({FLASH_BASE})[0]))\n"
    )
    assert machine.run("python3", "-c", program) == word


def test_reload_takes_the_configuration_anew(machine: Machine) -> None:
    client = machine.start(spawning())
    pid = machine.pid
    machine.configure({**spawning(), "limits": {"max_inline_bytes": 1000}})
    machine.systemctl("reload", "ocdmuxd.service")
    wait_until(lambda: client.call("server.hello")["limits"]["max_inline_bytes"] == 1000, "the new limit")
    wait_until(lambda: machine.state() == "active", "the end of the reload")
    assert machine.pid == pid


def test_bad_configuration_is_not_tried_again(machine: Machine) -> None:
    machine.configure({"boards": 1})
    machine.run("systemctl", "start", "ocdmuxd.service", check=False)
    wait_until(lambda: machine.state() == "failed", "the failure")
    assert (machine.show("ExecMainStatus"), machine.show("NRestarts")) == ("2", "0")
    assert matches("boards: must be an array", machine.journal())
    machine.start(spawning())
    assert machine.state() == "active"


def test_watchdog_replaces_a_daemon_that_hangs(machine: Machine) -> None:
    machine.drop_in("quick.conf", QUICK + "WatchdogSec=3\n")
    machine.start(spawning())
    pid = machine.pid
    child = machine.client().call("board.status")["process"]["pid"]
    machine.run("sh", "-c", f"kill -STOP {pid}")
    wait_until(lambda: machine.show("NRestarts") == "1" and machine.state() == "active", "another daemon")
    assert matches(r"Watchdog timeout", machine.journal())
    assert machine.pid != pid
    assert machine.wait_for_board().call("memory.read_u32", address=FLASH_BASE)["values"]
    assert not machine.path(f"/proc/{child}").exists()


def test_watchdog_lets_a_daemon_live_that_runs(machine: Machine) -> None:
    """For longer than its limit."""
    machine.drop_in("quick.conf", QUICK + "WatchdogSec=3\n")
    client = machine.start(spawning())
    began = client.call("server.stats")["uptime_ms"]
    wait_until(lambda: client.call("server.stats")["uptime_ms"] > began + 4000, "four seconds")
    assert machine.show("NRestarts") == "0"


def test_crash_is_survived(machine: Machine) -> None:
    """SIGKILL: no OpenOCD is left over, and a lease is still held."""
    machine.drop_in("quick.conf", QUICK)
    client = machine.start(spawning())
    pid, child = machine.pid, client.call("board.status")["process"]["pid"]
    lease = client.call("lease.acquire", ttl_ms=600000, reason="a crash")["lease"]
    machine.run("sh", "-c", f"kill -KILL {pid}")
    wait_until(lambda: machine.show("NRestarts") == "1" and machine.state() == "active", "another daemon")
    assert not machine.path(f"/proc/{child}").exists()
    client = machine.wait_for_board()
    assert client.call("lease.status")["lease"]["reason"] == "a crash"
    client.call("lease.release", lease=lease)


def phase(client: Client) -> Any:
    """Of what runs on the board."""
    return client.call("board.status").get("running", {}).get("progress", {}).get("phase")


def test_stop_ends_at_a_safe_boundary(machine: Machine) -> None:
    """OpenOCD is not taken from the daemon before; the client hears of it, and no sector is left erased."""
    client = machine.start(spawning("vboard.cfg"))
    machine.path(f"{LAB}/slow.bin").write_bytes(make_image(24 * KIB, seed=3))
    with machine.popen("ocdmux", "flash", f"{LAB}/slow.bin", "--address", hex(FLASH_BASE)) as flash:
        wait_until(lambda: phase(client) == "program", "programming")
        before = len(machine.journal())
        machine.systemctl("stop", "ocdmuxd.service")
        said, _ = flash.communicate(timeout=60)
    assert flash.returncode == 1 and "cancelled: the daemon stops" in said
    assert (machine.state(), machine.show("Result")) == ("inactive", "success")
    lines = machine.journal()[before:]
    assert matches("link .* -> down: the daemon stops", lines)
    assert not matches("OpenOCD closed the connection", lines)
    assert not machine.path("/run/ocdmux").exists()
    client = machine.start(spawning())
    assert client.call("board.status").get("pending_repairs", []) == []
    machine.run("ocdmux", "flash", f"{LAB}/slow.bin", "--address", hex(FLASH_BASE))
    machine.run("ocdmux", "verify", f"{LAB}/slow.bin")


def mode(machine: Machine, name: str) -> str:
    return stat.filemode(os.stat(machine.path(name)).st_mode)


def test_directories_are_as_promised(machine: Machine) -> None:
    """The user is made for the service; what is kept is for nobody else, and stays; what is at run time goes."""
    machine.start(spawning())
    user = os.stat(machine.path(f"/proc/{machine.pid}")).st_uid
    assert user > 1000 and machine.run("stat", "-c", "%U", f"/proc/{machine.pid}") in ("ocdmux", "UNKNOWN")
    for name in ("/var/lib/private/ocdmux", "/var/log/private/ocdmux", "/run/ocdmux"):
        assert os.stat(machine.path(name)).st_uid == user, name
    assert mode(machine, "/var/lib/private/ocdmux") == "drwx------"
    assert mode(machine, "/run/ocdmux") == "drwxr-xr-x"
    assert (mode(machine, "/etc/ocdmux"), os.stat(machine.path("/etc/ocdmux")).st_uid) == ("drwxr-xr-x", 0)
    machine.systemctl("stop", "ocdmuxd.service")
    assert machine.path("/var/lib/private/ocdmux").is_dir() and not machine.path("/run/ocdmux").exists()


def test_secrets_are_read_by_a_group_and_the_audit_is_written(machine: Machine) -> None:
    """A configuration that not everybody may read."""
    machine.configure({**spawning(), "audit": {"path": "/var/log/ocdmux/audit"}})
    machine.run("chown", "root:plugdev", CONFIG)
    machine.run("chmod", "640", CONFIG)
    machine.run("systemctl", "start", "ocdmuxd.service", check=False)
    wait_until(lambda: machine.state() == "failed", "the failure")
    assert matches(f"{CONFIG}: .*Permission denied", machine.journal())
    machine.drop_in("group.conf", "[Service]\nSupplementaryGroups=plugdev\n")
    client = machine.start()
    client.call("target.halt")
    lines = machine.path("/var/log/private/ocdmux/audit").read_text().splitlines()
    assert "target.halt" in [json.loads(line).get("method") for line in lines]


# Socket activation.


def has_ended(process: "subprocess.Popen[str]") -> bool:
    """Looks for a moment."""
    try:
        process.wait(0.01)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_first_client_starts_the_daemon(machine: Machine) -> None:
    """And gets its answer; any user may connect, over either socket; a restart refuses nobody."""
    machine.configure({**spawning(), "listen": ["tcp:127.0.0.1:6670"]})
    machine.systemctl("start", "ocdmuxd.socket")
    assert (machine.state(), machine.state("ocdmuxd.socket")) == ("inactive", "active")
    assert mode(machine, PASSED_SOCKET) == "srw-rw-rw-"
    client = machine.client(PASSED_SOCKET)
    assert client.call("server.hello")["boards"] == ["board"]
    assert machine.state() == "active"
    for server in ("tcp:127.0.0.1:6670", f"unix:{PASSED_SOCKET}"):
        assert machine.run(*NOBODY, "ocdmux", "--server", server, "read", hex(FLASH_BASE), "1")
    pid = machine.pid
    with machine.popen("systemctl", "restart", "ocdmuxd.service") as restart:
        while not has_ended(restart):
            machine.client(PASSED_SOCKET)
    assert restart.returncode == 0 and machine.pid != pid
    assert machine.client(PASSED_SOCKET).call("server.hello")["boards"] == ["board"]


def test_daemon_is_started_again_by_the_next_client(machine: Machine) -> None:
    machine.configure({**spawning(), "listen": ["tcp:127.0.0.1:6670"]})
    machine.systemctl("start", "ocdmuxd.socket")
    for _ in range(2):
        assert machine.run("ocdmux", "read", hex(FLASH_BASE), "1").startswith("0x08000000:")
        machine.systemctl("stop", "ocdmuxd.service")
        assert (machine.state(), machine.state("ocdmuxd.socket")) == ("inactive", "active")
    machine.systemctl("stop", "ocdmuxd.socket")
    assert not machine.path(PASSED_SOCKET).exists()


# The hardening, seen from inside.


def probed(machine: Machine) -> Dict[str, Any]:
    """What a child of the daemon may do."""
    machine.start(spawning(before_start=f"python3 {LAB}/probe.py /var/lib/ocdmux/probe.json"))
    result: Dict[str, Any] = json.loads(machine.path("/var/lib/private/ocdmux/probe.json").read_text())
    machine.path("/var/lib/private/ocdmux/probe.json").unlink()
    return result


@pytest.fixture(name="things")
def fixture_things(machine: Machine) -> None:
    """What the probe must not, or may, get at: a directory that everybody may write to, a file of somebody else's, and
    device nodes, which lead nowhere."""
    machine.run("sh", "-euc", (
        f"mkdir -p -m 1777 {LAB}/open; mkdir -p -m 755 /home/somebody; touch /tmp/outside; mkdir -p /dev/bus/usb/001\n"
        "test -e /dev/bus/usb/001/001 || mknod -m 660 /dev/bus/usb/001/001 c 189 0\n"
        "test -e /dev/probe-kmsg || mknod -m 666 /dev/probe-kmsg c 1 11\n"
        "chgrp plugdev /dev/bus/usb/001/001"
    ))


def open_files(machine: Machine, pid: int) -> int:
    """The hard limit of a process, which nobody in a container can raise who may not do it outside."""
    limits = machine.path(f"/proc/{pid}/limits").read_text()
    return int(limits.partition("Max open files")[2].split()[1])


@pytest.mark.usefixtures("things")
def test_hardening_is_in_force(machine: Machine) -> None:
    result = probed(machine)
    result.pop("groups")
    assert {name for name, what in result.items() if what == "ok"} == MAY
    status = machine.path(f"/proc/{machine.pid}/status").read_text()
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert f"\n{line}\n" in status
    assert open_files(machine, machine.pid) == min(65536, open_files(machine, 1))


@pytest.mark.usefixtures("things")
def test_adapter_drop_in_lets_openocd_at_usb_and_no_more(machine: Machine) -> None:
    """The node leads to no device, which the kernel says of those alone who may open it."""
    assert probed(machine)["usb"] == "ENOENT"
    machine.systemctl("stop", "ocdmuxd.service")
    machine.drop_in("adapter.conf", machine.path(ADAPTER).read_text())
    result = probed(machine)
    assert result["usb"] in ("ENODEV", "ENXIO") and result["kmsg"] == "EPERM"
    assert int(machine.run("stat", "-c", "%g", "/dev/bus/usb/001/001")) in result.pop("groups")
    assert {name for name, what in result.items() if what == "ok"} == MAY | {"netlink"}


def cmsis_dap(machine: Machine) -> List[str]:
    """What OpenOCD says that looks for an adapter on USB."""
    words = ["openocd", "-c", "tcl_port 0", "-c", "adapter driver cmsis-dap", "-c", "transport select swd",
             "-c", "adapter speed 100", "-c", "source [find target/stm32f1x.cfg]"]
    machine.configure({"boards": [{"name": "board", "spawn": words}], "listen": LISTEN})
    before = len(machine.journal())
    machine.systemctl("start", "ocdmuxd.service")
    client = machine.client()
    wait_until(lambda: client.call("board.status").get("problem", {}).get("kind") == "probe_missing", "OpenOCD's end")
    return machine.journal()[before:]


def test_libusb_works_with_the_adapter_drop_in(machine: Machine) -> None:
    machine.drop_in("adapter.conf", machine.path(ADAPTER).read_text())
    lines = cmsis_dap(machine)
    assert matches("unable to find a matching CMSIS-DAP device", lines)
    assert not matches("libusb initialization failed", lines)


@pytest.fixture(name="other_openocd")
def fixture_other_openocd(machine: Machine) -> Iterator[str]:
    """One that another user runs, at port 6666; the name of its unit. Its user is a member of plugdev."""
    yield "other-openocd.service"
    machine.run("systemctl", "stop", "other-openocd.service", check=False)


def attached(machine: Machine, user: str, unit: str, **members: Any) -> Any:
    machine.run("systemd-run", "-q", f"--unit={unit}", f"--uid={user}", "-p", "SupplementaryGroups=plugdev",
                *openocd(tcl_port=6666))
    client = machine.start({"boards": [{"name": "board", "openocd": "127.0.0.1:6666"}], "listen": LISTEN, **members})
    assert client.call("memory.read_u32", address=FLASH_BASE)["values"]
    return client.call("board.status")["staging"]


def test_openocd_of_root_shares_files(machine: Machine, other_openocd: str) -> None:
    assert attached(machine, "root", other_openocd) == "shared"


def test_openocd_of_another_user_gets_files_over_the_link(machine: Machine, other_openocd: str) -> None:
    assert attached(machine, "nobody", other_openocd) == "link"


def test_openocd_of_another_user_shares_files_by_a_group(machine: Machine, other_openocd: str) -> None:
    machine.drop_in("group.conf", "[Service]\nSupplementaryGroups=plugdev\n")
    assert attached(machine, "nobody", other_openocd, share_dir="/run/ocdmux", share_group="plugdev") == "shared"
    image = make_image(4 * KIB, seed=4)
    machine.path(f"{LAB}/group.bin").write_bytes(image)
    machine.run("ocdmux", "flash", f"{LAB}/group.bin", "--address", hex(FLASH_BASE))
    machine.run("ocdmux", "verify", f"{LAB}/group.bin")
