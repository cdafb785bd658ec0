"""Real gdb through the lease, on the virtual board."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from gdb_program import Gdb, build_program, gdb_words, run_gdb
from harness.client import Client
from harness.gdb import GdbClient
from harness.paths import VBOARD_WORKAREA_CONFIG, build_file
from harness.stack import KIB, RAM_BASE, Stack, make_image
from harness.tokens import make_token
from harness.waiting import wait_until

# As the README has them, but for the port's number.
CLOSED_PORTS = ["bindto 127.0.0.1", "telnet_port disabled", "gdb_port 0"]
# Where no work area is, and no program writes.
WORD = RAM_BASE + 0x4000


class Lab:
    """A stack whose board takes gdb; alice may change it, root may do anything."""

    def __init__(self, stack: Stack, tokens: Dict[str, str]) -> None:
        self.stack = stack
        self.tokens = tokens
        self.address = stack.daemon.wait_for_line(r"board lab: takes gdb on (\S+)").group(1)

    def client(self, name: str = "alice") -> Client:
        client = self.stack.client()
        client.call("server.hello", token=self.tokens[name])
        return client

    def tool(self, *words: str, name: str = "alice", **environment: str) -> Gdb:
        """`ocdmux` with the token of `name` in its environment."""
        env = {"OCDMUX_SERVER": self.stack.daemon.address, "OCDMUX_TOKEN": self.tokens[name], **environment}
        return Gdb([str(build_file("ocdmux")), *words], env)

    def gdb(self, *commands: str, name: str = "alice", program: Path, **environment: str) -> Gdb:
        """`ocdmux gdb` with the commands."""
        return self.tool("gdb", "--", *gdb_words(*commands, program=program), name=name, **environment)

    def wait_attached(self, count: int) -> None:
        root = self.client("root")
        wait_until(lambda: len(root.call("board.status")["gdb"]["clients"]) == count, f"{count} gdbs")
        root.close()


def make_config(tokens: Dict[str, Dict[str, Any]], **gdb: Any) -> str:
    board = {"name": "lab", "openocd": "127.0.0.1:%PORT%", "gdb": {"listen": "tcp:127.0.0.1:0", **gdb}}
    return json.dumps({"boards": [board], "tokens": list(tokens.values())})


@pytest.fixture(scope="module", name="tokens")
def fixture_tokens() -> Dict[str, Any]:
    return {name: make_token(name, role=role) for name, role in (("alice", "user"), ("root", "admin"))}


@pytest.fixture(scope="module", name="program")
def fixture_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_program(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="module", name="shared_lab")
def fixture_shared_lab(tmp_path_factory: pytest.TempPathFactory, validator: Any, tokens: Any) -> Iterator[Lab]:
    config = make_config({name: entry for name, (_, entry) in tokens.items()}, openocd="127.0.0.1:%GDBPORT%")
    with Stack(
        tmp_path_factory.mktemp("gdb"), validator, flash_size=16 * KIB, image=make_image(16 * KIB), config=config,
        openocd_config=VBOARD_WORKAREA_CONFIG, openocd_then=CLOSED_PORTS,
    ) as stack:  # fmt: skip
        yield Lab(stack, {name: token for name, (token, _) in tokens.items()})


@pytest.fixture(name="lab")
def fixture_lab(shared_lab: Lab) -> Iterator[Lab]:
    """`shared_lab`, which must take gdb behind each test as well."""
    yield shared_lab
    shared_lab.wait_attached(0)
    client = shared_lab.client()
    assert "lease" not in client.call("board.status")
    client.call("target.halt")
    client.call("memory.write_u32", address=WORD, values=[0])
    shared_lab.stack.assert_alive()


class Reader:
    """Reads one word again and again until it is stopped."""

    def __init__(self, client: Client) -> None:
        self.values: List[int] = []
        self.failure: List[BaseException] = []
        self._client = client
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            # Programs that wake each other on one processor without a pause can keep Linux from running anything
            # else there, threads of its own included, for half a minute: its log calls that a workqueue lockup.
            while not self._stop.wait(0.005):
                self.values += self._client.call("memory.read_u32", address=WORD)["values"]
        except BaseException as failure:  # noqa: BLE001
            self.failure.append(failure)

    def stop(self) -> List[int]:
        self._stop.set()
        self._thread.join()
        assert self.failure == []
        return self.values


def test_a_debugging_session_while_others_read(lab: Lab, program: Path) -> None:
    """Attach, load, breakpoint, continue, detach; and what others may meanwhile."""
    client = lab.client()
    client.call("memory.write_u32", address=WORD, values=[0x600DF00D])
    reader = Reader(lab.client())
    others = "shell OCDMUX_TOKEN={0} {1} --server {2} {{}}".format(
        lab.tokens["root"], build_file("ocdmux"), lab.stack.daemon.address
    )
    said = lab.gdb(
        "load", "break turn", "monitor reset halt", "continue", "print $r0", "continue", "print $r0",
        others.format("status"), others.format("halt"), "compare-sections", "detach", program=program,
    ).finish()  # fmt: skip
    values = reader.stop()
    assert set(values) == {0x600DF00D} and len(values) > 10
    assert "Loading section .text" in said and said.count("Breakpoint 1, turn ()") == 2, said
    assert "$1 = 1" in said and "$2 = 2" in said and "matched" in said
    assert "lease: alice (gdb): gdb is attached, held until" in said and "gdb: alice is attached to vb.cpu" in said
    assert "ocdmux: board_busy: alice (gdb) holds the lease of the board until" in said
    assert "[Inferior 1 (Remote target) detached]" in said
    lab.wait_attached(0)
    client.call("memory.write_u32", address=WORD, values=[1])


def test_status_of_gdb_is_ocdmux_gdbs(lab: Lab, program: Path) -> None:
    gdb = lab.gdb("quit 7", program=program)
    gdb.finish()
    assert gdb.process.returncode == 7


def test_a_lease_lets_its_holder_alone_in(lab: Lab, program: Path) -> None:
    """What gdb shows of a refusal, with ocdmux's own pipe and without."""
    root = lab.client("root")
    lease = root.call("lease.acquire", ttl_ms=60000, reason="night shift")["lease"]
    said = lab.gdb("info registers pc", program=program).finish()
    assert "ocdmux: board_busy: root holds the lease of the board until" in said and "night shift" in said, said
    said = run_gdb(lab.address, "info registers pc", program=program)
    assert "Remote failure reply: E.unauthenticated: nobody knows who this is" in said, said
    for environment in ({"name": "root"}, {"name": "alice", "OCDMUX_LEASE": lease}):
        said = lab.gdb("stepi", "info registers pc", program=program, **environment).finish()
        assert "pc             0x8" in said, said
    root.call("lease.release")


def test_gdb_that_is_killed_leaves_nothing(lab: Lab, program: Path) -> None:
    lab.client().call("target.reset", mode="halt")
    gdb = lab.gdb("continue", program=program)
    lab.wait_attached(1)
    client = lab.client()
    wait_until(lambda: client.call("target.state")["state"] == "running", "the program to run")
    assert client.fail("target.halt").kind == "board_busy"
    gdb.kill()
    lab.wait_attached(0)
    client.call("target.halt")


def test_gdb_past_the_daemon_is_seen(lab: Lab, program: Path) -> None:
    """OpenOCD takes one: the daemon's own is refused then, and says so."""
    client = lab.client()
    with socket.create_connection(("127.0.0.1", lab.stack.openocd.gdb_port)) as stranger:
        stranger.sendall(b"+$?#3f")
        wait_until(lambda: client.call("board.status")["gdb"]["outside"] == 1, "the stranger")
        stranger.sendall(b"+")
        said = lab.gdb("info registers pc", program=program).finish()
        assert "E.openocd_error: OpenOCD took gdb's connection and ended it at once" in said, said
    wait_until(lambda: client.call("board.status")["gdb"]["outside"] == 0, "the stranger to go")
    assert "pc             0x" in lab.gdb("info registers pc", program=program).finish()


def test_monitor_needs_an_admin(lab: Lab, program: Path) -> None:
    assert "needs the role admin" in lab.gdb("monitor echo hello", program=program).finish()
    assert "hello" in lab.gdb("monitor echo hello", program=program, name="root").finish()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_openocd_is_killed_while_gdb_is_attached(make_stack: Callable[..., Stack], program: Path) -> None:
    """Its port is the one that OpenOCD names. Nothing is left of gdb, and the board comes back."""
    port = free_port()
    stack = make_stack(
        flash_size=16 * KIB, image=make_image(16 * KIB), openocd_then=[f"vb.cpu configure -gdb-port {port}"],
        daemon_flags=["--gdb-listen", "tcp:127.0.0.1:0"],
    )  # fmt: skip
    address = stack.daemon.wait_for_line(r"takes gdb on (\S+)").group(1)
    client = stack.client()
    client.call("target.halt")
    target = address.partition(":")[2]
    gdb = Gdb(["gdb-multiarch", *gdb_words(f"target extended-remote {target}", "continue", program=program)])
    wait_until(lambda: client.call("target.state")["state"] == "running", "the program to run")
    stack.openocd.kill()
    assert "Remote connection closed" in gdb.finish()
    wait_until(lambda: client.call("board.status")["gdb"]["clients"] == [], "the end of gdb")
    said = run_gdb(address, "info registers pc", program=program)
    assert "E.openocd_unavailable: OpenOCD at 127.0.0.1:" in said, said
    stack.restart_openocd()
    client.call("target.halt")
    assert "pc             0x" in run_gdb(address, "info registers pc", "detach", program=program)
    wait_until(lambda: "lease" not in client.call("board.status"), "the lease to be free")


def test_openocd_without_a_gdb_port(make_daemon: Callable[..., Any], connect: Callable[..., Client]) -> None:
    daemon = make_daemon("--gdb-listen", "tcp:127.0.0.1:0")
    client = connect(daemon)
    client.call("target.state")
    said = run_gdb(daemon.wait_for_line(r"takes gdb on (\S+)").group(1), "info registers pc")
    assert 'E.unsupported: OpenOCD serves no gdb for vb.cpu: it says "undefined"' in said, said
    client.call("target.state")


def test_one_lease_serves_a_gdb_for_each_core(
    make_stack: Callable[..., Stack], tokens: Dict[str, Any], program: Path
) -> None:
    """Two targets, each on the port that OpenOCD names; the lease ends with the last of the two."""
    ports = free_port(), free_port()
    config = make_config({name: entry for name, (_, entry) in tokens.items()})
    then = [f"target create vb.two cortex_m -dap vb.dap -ap-num 0 -gdb-port {ports[1]}",
            f"vb.cpu configure -gdb-port {ports[0]}"]  # fmt: skip
    stack = make_stack(flash_size=16 * KIB, image=make_image(16 * KIB), config=config, openocd_then=then)
    lab = Lab(stack, {name: token for name, (token, _) in tokens.items()})
    client = lab.client()
    client.call("target.halt", target="vb.cpu")
    with GdbClient(lab.address) as one, GdbClient(lab.address) as two:
        for each, target in ((one, "vb.cpu"), (two, "vb.two")):
            assert each.preface(token=lab.tokens["alice"], target=target)["ok"]
            each.send(b"+")
            assert each.ask("QStartNoAckMode") == "OK"
            each.send(b"+")
        attached = [each["target"] for each in client.call("board.status")["gdb"]["clients"]]
        assert attached == ["vb.cpu", "vb.two"]
        one.close()
        lab.wait_attached(1)
        assert client.call("lease.status")["lease"]["client"] == "gdb"
        assert two.ask("qAttached") == "1"
        assert lab.client("root").fail("memory.write_u32", address=WORD, values=[1]).kind == "board_busy"
    lab.wait_attached(0)
    assert "lease" not in client.call("board.status")
