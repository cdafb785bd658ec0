"""Every method of the protocol with every role, with and without a lease: what its entry in the protocol says of role
and change decides, and what is not allowed leaves no trace on the link."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest

from control import MockControl
from harness.client import Client, RpcError
from harness.paths import PROTOCOL
from harness.tokens import make_token
from protocol_check import Validator
from rig import RAM, Rig
from test_roles import METHODS, ROLES, parameters, takes_board

# Who is called what his role is, and one more of each who may change something, to hold leases.
NAMES = [*ROLES, "other-user", "other-admin"]
SITUATIONS = ["free", "own", "own named", "other's", "other's named", "ended named", "required"]
# The board on which nothing may ever happen; that on which everything may; and the one not changed without a lease.
REFUSING, ALLOWING, REQUIRING = "b0", "b1", "b2"
HOUR = 3600 * 1000
VALIDATOR = Validator(PROTOCOL)


def expected(method: Dict[str, Any], role: str, situation: str) -> Optional[str]:
    """The kind of the refusal; None: it is not refused."""
    if method["name"] == "server.hello":
        return None
    if role == "none":
        return "unauthenticated"
    if ROLES.index(role) < ROLES.index(method["x-role"]):
        return "forbidden"
    if not method.get("x-board"):
        return None
    if situation == "other's named" and role != "admin":
        return "forbidden"
    if situation == "ended named":
        return "lease_lost"
    if method.get("x-changes") and situation in ("other's", "required"):
        return "board_busy"
    return None


@pytest.fixture(scope="module", name="lab")
def fixture_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuple[Rig, Dict[str, str]]]:
    """One daemon for all of it, and its tokens by name."""
    made = {name: make_token(name, role=name.replace("other-", "")) for name in NAMES}
    entries = [entry for _, entry in made.values()]
    rig = Rig(tmp_path_factory.mktemp("lab"), VALIDATOR, boards=3, role="none", wait=False, require_lease=[2],
        extra={"tokens": entries})
    try:
        tokens = {name: token for name, (token, _) in made.items()}
        watcher = login(rig, tokens, "admin")
        for board in (REFUSING, ALLOWING, REQUIRING):
            assert watcher.call("memory.read_u8", board=board, address=RAM)["values"] == [0]
        yield rig, tokens
    finally:
        rig.close()


def login(rig: Rig, tokens: Dict[str, str], name: str) -> Client:
    client = rig.client()
    if name != "none":
        assert client.call("server.hello", token=tokens[name])["identity"] == name
    return client


def call_of(method: Dict[str, Any], board: str, lease: Optional[str]) -> Dict[str, Any]:
    """The parameters of the example, about this board, and nothing that waits for long."""
    params = parameters(method)
    if takes_board(method):
        params["board"] = board
    if method.get("x-board"):
        params["timeout_ms"] = 300
        if lease is not None:
            params["lease"] = lease
    if "wait_ms" in params:
        params["wait_ms"] = 1
    return params


class Scene:
    """A situation on a board, as it looks to a client of that role; it is so while this is entered, whatever was
    before."""

    def __init__(self, lab: Tuple[Rig, Dict[str, str]], board: str, role: str, situation: str) -> None:
        self.rig, self.tokens = lab
        self.board = board
        self.role = role
        self.situation = situation
        self.lease: Optional[str] = None
        self.client = login(self.rig, self.tokens, role)
        self.others: List[Client] = []

    def _acquire(self, name: str) -> str:
        self.others.append(login(self.rig, self.tokens, name))
        lease: str = self.others[-1].call("lease.acquire", board=self.board, ttl_ms=HOUR)["lease"]
        return lease

    def __enter__(self) -> "Scene":
        if self.situation == "own":
            self.client.call("lease.acquire", board=self.board, ttl_ms=HOUR)
        elif self.situation == "own named":
            self.lease = self._acquire(self.role)
        elif self.situation in ("other's", "other's named"):
            lease = self._acquire("other-user")
            self.lease = lease if self.situation == "other's named" else None
        elif self.situation == "ended named":
            self.lease = self._acquire("other-user")
            self.others[-1].call("lease.release", board=self.board)
        return self

    def outcome(self, name: str) -> Optional[RpcError]:
        """What comes of a call; None: a result."""
        params = call_of(METHODS[name], self.board, self.lease)
        try:
            self.client.call(name, **params)
        except RpcError as error:
            return error
        return None

    def __exit__(self, *_: object) -> None:
        """Nobody holds the lease, and all have gone."""
        with Client(self.rig.daemon.address, VALIDATOR) as admin:
            admin.call("server.hello", token=self.tokens["admin"])
            admin.call("lease.break", board=self.board)
        for client in (self.client, *self.others):
            client.close()


def scenes() -> List[Any]:
    """Who may not hold a lease has none of his own."""
    return [(role, situation) for role in ROLES for situation in SITUATIONS
        if not (situation.startswith("own") and role in ("none", "observer"))]


@pytest.mark.parametrize("role, situation", scenes())
def test_what_is_not_allowed_is_refused_without_a_trace(
    lab: Tuple[Rig, Dict[str, str]], role: str, situation: str
) -> None:
    """What goes to OpenOCD behind all of it is the next command of that board."""
    board = REQUIRING if situation == "required" else REFUSING
    refused = [name for name, method in METHODS.items() if expected(method, role, situation) is not None]
    assert refused or role in ("user", "admin")
    with Scene(lab, board, role, situation) as scene:
        mocks = scene.rig.mocks
        before = [mock.scripts() for mock in mocks]
        for name in refused:
            error = scene.outcome(name)
            assert error is not None and error.kind == expected(METHODS[name], role, situation), f"{name}: {error}"
        assert_next_is_own(scene, mocks, before)


def assert_next_is_own(scene: Scene, mocks: List[MockControl], before: List[List[str]]) -> None:
    """That no board got anything since: what goes out next is the watcher's own."""
    with Client(scene.rig.daemon.address, VALIDATOR) as watcher:
        watcher.call("server.hello", token=scene.tokens["admin"])
        for i in (0, 2):
            watcher.call("memory.read_u8", board=f"b{i}", address=RAM)
            sent = mocks[i].scripts()[len(before[i]) :]
            assert len(sent) == 1 and "read_memory 0x20000000 8 1" in sent[0], sent


@pytest.mark.parametrize("role, situation", [scene for scene in scenes() if scene[1] != "required"])
def test_what_is_allowed_is_not_refused(lab: Tuple[Rig, Dict[str, str]], role: str, situation: str) -> None:
    """Whatever comes of it; those about leases last, for they may change the situation."""
    allowed = [name for name, method in METHODS.items() if expected(method, role, situation) is None]
    with Scene(lab, ALLOWING, role, situation) as scene:
        for name in sorted(allowed, key=lambda name: name.startswith("lease.")):
            error = scene.outcome(name)
            refusals = ["forbidden", "unauthenticated", "invalid_params"]
            if not name.startswith("lease."):
                refusals += ["board_busy", "lease_lost"]
            assert error is None or error.kind not in refusals, f"{name}: {error}"


def test_every_method_is_refused_to_somebody_and_allowed_to_somebody() -> None:
    """So that an entry without a role, or a role that nobody has, is not passed over."""
    for name, method in METHODS.items():
        kinds = {expected(method, role, situation) for role, situation in scenes()}
        assert None in kinds and (len(kinds) > 1 or name == "server.hello"), name
        assert "board_busy" in kinds or not method.get("x-changes"), name


def test_reading_about_leases_is_for_their_own(lab: Tuple[Rig, Dict[str, str]]) -> None:
    """lease.renew, release and status by the id of somebody else's lease, and by an admin."""
    rig, tokens = lab
    holder, user, admin = (login(rig, tokens, name) for name in ("other-user", "user", "other-admin"))
    lease = holder.call("lease.acquire", board=REFUSING, ttl_ms=HOUR)["lease"]
    for method in ("lease.renew", "lease.release", "lease.status"):
        error = user.fail(method, board=REFUSING, lease=lease)
        assert error.kind == "forbidden" and error.data["role"] == "admin", method
        assert "other-user" in error.message
    assert user.call("lease.status", board=REFUSING)["yours"] is False
    second = login(rig, tokens, "other-user")
    assert second.call("lease.status", board=REFUSING, lease=lease)["yours"] is True
    assert admin.call("lease.status", board=REFUSING, lease=lease)["yours"] is True
    second.call("lease.renew", board=REFUSING, lease=lease)
    admin.call("lease.release", board=REFUSING, lease=lease)
    assert holder.fail("lease.renew", board=REFUSING).kind == "lease_lost"
    for client in (holder, user, admin, second):
        client.close()
