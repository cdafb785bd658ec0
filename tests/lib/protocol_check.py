"""Checks replies, errors and notifications of the daemon against proto/protocol.json.

Validator is what the integration tests hold every line against; SchemaChecker is the part of JSON Schema that
protocol.json uses, and refuses schemas that use more, so that nothing is passed over in silence.
"""
from __future__ import annotations

import json
import pathlib
import re
from collections import Counter
from typing import Any, Dict, List, Optional, Set, Union

Json = Dict[str, Any]

ANNOTATIONS = {"title", "description", "default"}
# Answers to lines in which no call, or no usable id, could be found: id null.
NAMELESS_KINDS = {"parse_error", "invalid_request", "line_too_long", "limit_exceeded"}


class Violation(AssertionError):
    """A message breaks the protocol; the text says where and how."""


class SchemaError(Exception):
    """protocol.json uses a schema keyword that is not understood here, or a $ref that leads nowhere."""


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_TYPES = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": lambda value: _is_integer(value) or isinstance(value, float),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _same(a: Any, b: Any) -> bool:
    """Equality as JSON has it: true is not 1."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


class SchemaChecker:
    """A subset of JSON Schema. `document` is what $ref points into."""

    def __init__(self, document: Json) -> None:
        self.document = document

    def resolve(self, reference: str) -> Json:
        """The object at a "#/a/b" reference. Raises SchemaError if there is none."""
        place: Any = self.document
        if not reference.startswith("#/"):
            raise SchemaError(f"{reference}: not a reference into this document")
        for step in reference[2:].split("/"):
            if not isinstance(place, dict) or step not in place:
                raise SchemaError(f"{reference} leads nowhere")
            place = place[step]
        return place

    def faults(self, value: Any, schema: Json, path: str = "$") -> List[str]:
        """What is wrong with `value`, one text a fault; empty if nothing is. Raises SchemaError."""
        found: List[str] = []
        for keyword, argument in schema.items():
            if keyword in ANNOTATIONS or keyword.startswith("x-"):
                continue
            rule = getattr(self, "_rule_" + keyword.replace("$", "").lower(), None)
            if rule is None:
                raise SchemaError(f"keyword {keyword!r} is not understood")
            found += rule(value, argument, schema, path)
        return found

    def _rule_ref(self, value: Any, reference: str, _schema: Json, path: str) -> List[str]:
        return self.faults(value, self.resolve(reference), path)

    def _rule_type(self, value: Any, types: Union[str, List[str]], _schema: Json, path: str) -> List[str]:
        names = [types] if isinstance(types, str) else types
        if any(_TYPES[name](value) for name in names):
            return []
        return [f"{path}: {value!r} is not of type {' or '.join(names)}"]

    def _rule_const(self, value: Any, wanted: Any, _schema: Json, path: str) -> List[str]:
        return [] if _same(value, wanted) else [f"{path}: {value!r} is not {wanted!r}"]

    def _rule_enum(self, value: Any, words: List[Any], _schema: Json, path: str) -> List[str]:
        return [] if any(_same(value, word) for word in words) else [f"{path}: {value!r} is not one of {words}"]

    def _rule_oneof(self, value: Any, branches: List[Json], _schema: Json, path: str) -> List[str]:
        tried = [self.faults(value, branch, path) for branch in branches]
        fitting = sum(not faults for faults in tried)
        if fitting == 1:
            return []
        if fitting > 1:
            return [f"{path}: {value!r} fits {fitting} alternatives"]
        return [f"{path}: fits no alternative: " + "; or ".join(faults[0] for faults in tried)]

    def _rule_anyof(self, value: Any, branches: List[Json], _schema: Json, path: str) -> List[str]:
        tried = [self.faults(value, branch, path) for branch in branches]
        if any(not faults for faults in tried):
            return []
        return [f"{path}: fits no alternative: " + "; or ".join(faults[0] for faults in tried)]

    def _rule_not(self, value: Any, forbidden: Json, _schema: Json, path: str) -> List[str]:
        return [] if self.faults(value, forbidden, path) else [f"{path}: {value!r} is what it must not be"]

    def _rule_properties(self, value: Any, properties: Json, _schema: Json, path: str) -> List[str]:
        if not isinstance(value, dict):
            return []
        found: List[str] = []
        for key, schema in properties.items():
            if key in value:
                found += self.faults(value[key], schema, f"{path}.{key}")
        return found

    def _rule_required(self, value: Any, keys: List[str], _schema: Json, path: str) -> List[str]:
        if not isinstance(value, dict):
            return []
        return [f"{path}: {key} is missing" for key in keys if key not in value]

    def _rule_additionalproperties(self, value: Any, allowed: Union[bool, Json], schema: Json, path: str) -> List[str]:
        if not isinstance(value, dict) or allowed is True:
            return []
        extra = [key for key in value if key not in schema.get("properties", {})]
        if allowed is False:
            return [f"{path}: {key} should not be there" for key in extra]
        return [fault for key in extra for fault in self.faults(value[key], allowed, f"{path}.{key}")]

    def _rule_items(self, value: Any, schema: Json, _schema: Json, path: str) -> List[str]:
        if not isinstance(value, list):
            return []
        return [fault for i, item in enumerate(value) for fault in self.faults(item, schema, f"{path}[{i}]")]

    def _rule_pattern(self, value: Any, pattern: str, _schema: Json, path: str) -> List[str]:
        # In JSON Schema $ is the very end; Python's would also match before a last line feed.
        if not isinstance(value, str) or re.search(re.sub(r"\$$", r"\\Z", pattern), value):
            return []
        return [f"{path}: {value!r} does not match {pattern}"]

    @staticmethod
    def _bound(holds: bool, path: str, value: Any, rule: str) -> List[str]:
        return [] if holds else [f"{path}: {value!r} is not {rule}"]

    def _rule_minimum(self, value: Any, least: int, _schema: Json, path: str) -> List[str]:
        return self._bound(not _TYPES["number"](value) or value >= least, path, value, f"at least {least}")

    def _rule_maximum(self, value: Any, most: int, _schema: Json, path: str) -> List[str]:
        return self._bound(not _TYPES["number"](value) or value <= most, path, value, f"at most {most}")

    def _rule_minlength(self, value: Any, least: int, _schema: Json, path: str) -> List[str]:
        return self._bound(not isinstance(value, str) or len(value) >= least, path, value, f"{least} or more long")

    def _rule_maxlength(self, value: Any, most: int, _schema: Json, path: str) -> List[str]:
        return self._bound(not isinstance(value, str) or len(value) <= most, path, value, f"{most} or less long")

    def _rule_minitems(self, value: Any, least: int, _schema: Json, path: str) -> List[str]:
        return self._bound(not isinstance(value, list) or len(value) >= least, path, value, f"{least} or more long")

    def _rule_maxitems(self, value: Any, most: int, _schema: Json, path: str) -> List[str]:
        return self._bound(not isinstance(value, list) or len(value) <= most, path, value, f"{most} or less long")


class Validator:
    """Holds what the daemon sends against the protocol, and keeps count of what was seen.

    `succeeded` and `failed` count replies by method ("" for answers with id null), `notified` notifications by name,
    `error_kinds` errors by kind.
    Every check raises Violation.
    """

    def __init__(self, protocol_json_path: Union[str, pathlib.Path]) -> None:
        self.document: Json = json.loads(pathlib.Path(protocol_json_path).read_text(encoding="utf-8"))
        self.schema = SchemaChecker(self.document)
        self.methods: Dict[str, Json] = {method["name"]: method for method in self.document["methods"]}
        self.errors: Dict[str, Json] = self.document["x-errors"]
        self.notifications: Dict[str, Json] = self.document["x-notifications"]
        self.succeeded: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.notified: Counter[str] = Counter()
        self.error_kinds: Counter[str] = Counter()

    def _require(self, value: Any, schema: Json, what: str) -> None:
        faults = self.schema.faults(value, schema)
        if faults:
            raise Violation(f"{what}: " + "; ".join(faults[:5]))

    def params_of(self, method: str) -> Dict[str, Json]:
        """The content descriptors of a method's parameters by name."""
        entries = []
        for entry in self.methods[method]["params"]:
            entries.append(self.schema.resolve(entry["$ref"]) if "$ref" in entry else entry)
        return {entry["name"]: entry for entry in entries}

    def check_params(self, method: str, params: Json) -> None:
        """Whether a call's parameters are as the protocol says (lengths and 64-bit ranges of texts aside)."""
        descriptors = self.params_of(method)
        schema = {
            "type": "object", "additionalProperties": False,
            "properties": {name: entry["schema"] for name, entry in descriptors.items()},
            "required": [name for name, entry in descriptors.items() if entry.get("required")],
        }
        self._require(params, schema, f"params of {method}")

    def check_reply(self, method: Optional[str], reply_obj: Any) -> None:
        """A whole reply to a call of `method`: the envelope, and its result or its error.

        `method` is None for an answer with id null, which belongs to a line rather than to a call.
        """
        self._check_envelope(reply_obj)
        if (method is None) != (reply_obj["id"] is None):
            raise Violation(f"reply to {method or 'a line'}: id is {reply_obj['id']!r}")
        if "error" in reply_obj:
            self.check_error(reply_obj["error"], method)
            kind = reply_obj["error"]["data"]["kind"]
            if method is None and kind not in NAMELESS_KINDS:
                raise Violation(f"{kind} with id null")
            self.failed[method or ""] += 1
        elif method is None:
            raise Violation("reply: a result with id null")
        else:
            self.check_result(method, reply_obj["result"])
            self.succeeded[method] += 1

    def _check_envelope(self, reply: Any) -> None:
        schema = {
            "type": "object", "required": ["jsonrpc", "id"], "additionalProperties": False,
            "properties": {"jsonrpc": {"const": "2.0"}, "id": {"type": ["string", "integer", "null"]},
                           "result": {}, "error": {"type": "object"}},
        }
        self._require(reply, schema, "reply")
        if ("result" in reply) == ("error" in reply):
            raise Violation("reply: needs either result or error")

    def check_result(self, method: str, result: Any) -> None:
        """The result of a call of `method`. Operations in it are held against their own methods too."""
        if method not in self.methods:
            raise Violation(f"{method}: there is no such method")
        schema = self.methods[method]["result"]["schema"]
        self._require(result, schema, f"result of {method}")
        if schema == {"$ref": "#/components/schemas/Operation"}:
            self._check_operation(result)
        if method == "operation.list":
            for operation in result["operations"]:
                self._check_operation(operation)
                if "result" in operation or "error" in operation:
                    raise Violation("operation.list: neither result nor error belongs here")

    def _check_operation(self, operation: Json) -> None:
        if "result" in operation:
            if operation["state"] != "done":
                raise Violation(f"operation: a result in state {operation['state']}")
            self.check_result(operation["method"], operation["result"])
        if "error" in operation:
            if operation["state"] not in ("failed", "cancelled"):
                raise Violation(f"operation: an error in state {operation['state']}")
            self.check_error(operation["error"], operation["method"])

    def check_error(self, obj: Any, method: Optional[str] = None) -> None:
        """An error object; with `method` also whether that method may answer with its kind."""
        self._require(obj, {"$ref": "#/components/schemas/Error"}, "error")
        kind = obj.get("data", {}).get("kind")
        if kind not in self.errors:
            raise Violation(f"error: kind {kind!r} is unknown")
        entry = self.errors[kind]
        details = {"kind": {"const": kind}, **self.document["x-error-details"], **entry["data"].get("details", {})}
        schema = {
            "type": "object", "additionalProperties": False, "required": ["code", "message", "data"],
            "properties": {
                "code": {"const": entry["code"]}, "message": {"type": "string", "minLength": 1},
                "data": {"type": "object", "properties": details, "additionalProperties": False},
            },
        }
        self._require(obj, schema, f"error {kind}")
        if method is not None and kind not in self.kinds_of(method):
            raise Violation(f"{method} does not answer with {kind}: {obj['message']}")
        self.error_kinds[kind] += 1

    def kinds_of(self, method: str) -> Set[str]:
        """The kinds of errors that a method may answer with; an unknown method: those of every call."""
        always = {kind for kind, entry in self.errors.items() if entry["data"].get("always")}
        listed = self.methods.get(method, {}).get("errors", [])
        return always | {reference["$ref"].rsplit("/", 1)[1] for reference in listed}

    def check_notification(self, obj: Any) -> None:
        """A whole notification."""
        schema = {
            "type": "object", "required": ["jsonrpc", "method", "params"], "additionalProperties": False,
            "properties": {"jsonrpc": {"const": "2.0"}, "method": {"enum": list(self.notifications)}, "params": {}},
        }
        self._require(obj, schema, "notification")
        name = obj["method"]
        self._require(obj["params"], self.notifications[name]["params"], f"notification {name}")
        self.notified[name] += 1

    @property
    def exercised(self) -> Set[str]:
        """The methods that were answered with a result at least once."""
        return {method for method in self.methods if self.succeeded[method] > 0}

    @property
    def unexercised(self) -> List[str]:
        """The methods that were never answered with a result, in the order of the protocol."""
        return [method for method in self.methods if self.succeeded[method] == 0]
