"""`session.target`, `session.registers` and `session.breakpoints`. Every error is a TargetError.

Addresses and values are integers. A `timeout` is in seconds and counts from the call; None: the session's.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence

from ._fields import Fields, Json, number
from ._part import Part, with_some
from .errors import InvalidParams, OcdmuxError, ProtocolError, TargetError, in_area
from .types import Breakpoint, Register, Stepped, Target


class _TargetPart(Part):
    area = TargetError

    def _number(self, value: int) -> object:
        try:
            return number(value)
        except OcdmuxError as error:
            raise in_area(error, self.area) from None

    def _maybe(self, value: Optional[int]) -> object:
        return None if value is None else self._number(value)


class TargetControl(_TargetPart):
    """`session.target`. States are OpenOCD's words: running, halted, reset, unknown, debug-running, ..."""

    async def list(self, *, timeout: Optional[float] = None) -> List[Target]:
        """All targets of the board."""
        fields = await self._fields("target.list", {}, timeout=self._short(timeout))
        found: List[Target] = self._read(lambda: [
            Target(each.text("target"), each.text("type"), each.text("state"), each.text("endian"),
                   each.flag("current"))
            for each in fields.objects("targets")
        ])
        return found

    async def _state(self, method: str, params: Json, timeout: Optional[float]) -> str:
        fields = await self._fields(method, params, timeout=self._short(timeout))
        state: str = self._read(lambda: fields.text("state"))
        return state

    async def state(self, *, timeout: Optional[float] = None) -> str:
        """Its state, asked from OpenOCD at this moment."""
        return await self._state("target.state", {}, timeout)

    async def halt(self, *, timeout: Optional[float] = None) -> str:
        """Halts it, and returns its state once that is so."""
        return await self._state("target.halt", {}, timeout)

    async def resume(self, address: Optional[int] = None, *, timeout: Optional[float] = None) -> str:
        """Lets it run, from where it stands or from `address`. TargetNotHalted where it runs."""
        return await self._state("target.resume", with_some({}, address=self._maybe(address)), timeout)

    async def reset(self, mode: str = "run", *, timeout: Optional[float] = None) -> Dict[str, str]:
        """Resets all targets of the board and returns their states by name. `mode` is run, halt or init (halted, and set
        up by the board's own script)."""
        fields = await self._fields("target.reset", {"mode": mode}, timeout=self._short(timeout))
        found: Dict[str, str] = self._read(
            lambda: {each.text("target"): each.text("state") for each in fields.objects("targets")}
        )
        return found

    async def step(self, count: int = 1, address: Optional[int] = None, *, timeout: Optional[float] = None) -> Stepped:
        """Lets it execute `count` instructions (1 to 1000), from where it stands or from `address`."""
        params = with_some({"count": self._number(count)}, address=self._maybe(address))
        fields = await self._fields("target.step", params, timeout=self._short(timeout))
        found: Stepped = self._read(
            lambda: Stepped(fields.text("state"), fields.maybe_integer("pc"), fields.integer("steps"))
        )
        return found

    async def wait(self, state: str = "halted", *, timeout: Optional[float] = None) -> str:
        """Returns once it is halted, running, reset or unknown. RequestTimeout tells in `data["state"]` what it was."""
        return await self._state("target.wait", {"state": state}, timeout)


class Registers(_TargetPart):
    """`session.registers`. While the target runs there are no values, not even old ones: TargetNotHalted."""

    async def list(self, *, timeout: Optional[float] = None) -> List[Register]:
        """The registers that there are; looks at none of them."""
        fields = await self._fields("register.list", {}, timeout=self._short(timeout))
        found: List[Register] = self._read(lambda: [
            Register(each.text("name"), each.integer("size_bits"), each.text("group"))
            for each in fields.objects("registers")
        ])
        return found

    def _values(self, fields: Fields) -> Dict[str, int]:
        found: Dict[str, int] = self._read(
            lambda: {each.text("name"): each.integer("value") for each in fields.objects("registers")}
        )
        return found

    async def read(self, names: Optional[Sequence[str]] = None, *, timeout: Optional[float] = None) -> Dict[str, int]:
        """Values by name, of 1 to 256 registers; None: those of the core. NotFound for a name that there is not."""
        params = {} if names is None else {"names": [names] if isinstance(names, str) else list(names)}
        return self._values(await self._fields("register.read", params, timeout=self._short(timeout)))

    async def write(self, values: Mapping[str, int], *, timeout: Optional[float] = None) -> Dict[str, int]:
        """Writes 1 to 256 registers, and returns what reads back. Names and values are checked before any is written."""
        texts = []
        for name, value in values.items():
            self._number(value)
            if value < 0:
                raise self._error(InvalidParams, f"register {name}: {value} is below 0")
            texts.append(hex(value))
        params = {"names": list(values), "values": texts}
        return self._values(await self._fields("register.write", params, timeout=self._short(timeout)))

    async def get(self, name: str, *, timeout: Optional[float] = None) -> int:
        """The value of one register."""
        found = await self.read([name], timeout=timeout)
        if len(found) != 1:
            raise self._error(ProtocolError, f"register.read: {len(found)} values came for {name}")
        return next(iter(found.values()))

    async def set(self, name: str, value: int, *, timeout: Optional[float] = None) -> None:
        """Writes one register."""
        await self.write({name: value}, timeout=timeout)


class Breakpoints(_TargetPart):
    """`session.breakpoints`. Kinds are hardware and software (on an instruction), read, write and access (on data)."""

    def _list(self, fields: Fields) -> List[Breakpoint]:
        found: List[Breakpoint] = self._read(lambda: [
            Breakpoint(each.integer("address"), each.integer("length"), each.text("kind"), each.maybe_integer("value"),
                       each.maybe_integer("mask"))
            for each in fields.objects("breakpoints")
        ])
        return found

    async def list(self, *, timeout: Optional[float] = None) -> List[Breakpoint]:
        """All that the target has, whoever set them."""
        return self._list(await self._fields("breakpoint.list", {}, timeout=self._short(timeout)))

    async def add(
        self, address: int, kind: str = "hardware", *, length: Optional[int] = None, value: Optional[int] = None,
        mask: Optional[int] = None, timeout: Optional[float] = None,
    ) -> List[Breakpoint]:
        """Sets one, and returns all. `length` in bytes (1 to 65536; default 2 for breakpoints on Cortex-M, else 4).
        Watchpoints: `value` is the data waited for, bits that are 1 in `mask` do not count."""
        params = with_some({"address": self._number(address), "kind": kind}, length=self._maybe(length),
                           value=self._maybe(value), mask=self._maybe(mask))
        return self._list(await self._fields("breakpoint.add", params, timeout=self._short(timeout)))

    async def remove(self, address: int, kind: Optional[str] = None, *,
                     timeout: Optional[float] = None) -> List[Breakpoint]:
        """Removes what stands at an address, of that kind only where one is given, and returns what is left. NotFound."""
        params = with_some({"address": self._number(address)}, kind=kind)
        return self._list(await self._fields("breakpoint.remove", params, timeout=self._short(timeout)))
