"""Checks what travels against proto/protocol.json, so that neither the client nor the fake server invents a protocol."""

import json
import re
from pathlib import Path
from typing import Any, Dict, List, Optional

PROTOCOL = Path(__file__).resolve().parents[2] / "proto" / "protocol.json"

_TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
_SILENT = {"title", "description", "default"}


class Contract:
    """The methods and schemas of one protocol.json. Each check returns a list of problems, empty if all is well."""

    def __init__(self, path: Path = PROTOCOL) -> None:
        self.document = json.loads(path.read_text(encoding="utf-8"))
        self.methods = {method["name"]: method for method in self.document["methods"]}
        self.notifications = self.document["x-notifications"]

    def _resolve(self, item: Dict[str, Any]) -> Dict[str, Any]:
        while "$ref" in item:
            target: Any = self.document
            for part in item["$ref"].lstrip("#/").split("/"):
                target = target[part]
            item = target
        return item

    def problems(self, schema: Any, value: Any, place: str) -> List[str]:
        """What is wrong with `value` under a JSON schema of the kinds that protocol.json uses."""
        schema = self._resolve(schema)
        unknown = set(schema) - _SILENT - set(_CHECKS)
        assert not unknown, f"this check does not know {unknown}"
        found: List[str] = []
        for keyword, check in _CHECKS.items():
            if keyword in schema:
                found += check(self, schema, value, place)
        return found

    def call_problems(self, name: str, params: Optional[Dict[str, Any]]) -> List[str]:
        """What is wrong with a call's parameters."""
        if name not in self.methods:
            return [f"there is no method {name}"]
        known = {}
        for entry in self.methods[name]["params"]:
            entry = self._resolve(entry)
            known[entry["name"]] = entry
        given = {} if params is None else params
        found = [f"{name}: unknown parameter {key}" for key in given if key not in known]
        for key, entry in known.items():
            if key in given:
                found += self.problems(entry["schema"], given[key], f"{name}.{key}")
            elif entry.get("required"):
                found.append(f"{name}: {key} is missing")
        return found

    def result_problems(self, name: str, result: Any) -> List[str]:
        """What is wrong with a method's result."""
        return self.problems(self.methods[name]["result"]["schema"], result, f"result of {name}")

    def notification_problems(self, name: str, params: Any) -> List[str]:
        """What is wrong with a notification."""
        if name not in self.notifications:
            return [f"there is no notification {name}"]
        return self.problems(self.notifications[name]["params"], params, name)

    def error_problems(self, error: Any) -> List[str]:
        """What is wrong with an error object; its kind has to be one of the table's."""
        found = self.problems({"$ref": "#/components/schemas/Error"}, error, "error")
        if not found and error["data"]["kind"] not in self.document["x-errors"]:
            found.append(f"there is no error kind {error['data']['kind']}")
        return found


def _type(_contract: Contract, schema: Any, value: Any, place: str) -> List[str]:
    names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return [] if any(_TYPES[name](value) for name in names) else [f"{place}: {value!r:.60} is no {names}"]


def _enum(_contract: Contract, schema: Any, value: Any, place: str) -> List[str]:
    return [] if value in schema["enum"] else [f"{place}: {value!r:.60} is not one of {schema['enum']}"]


def _const(_contract: Contract, schema: Any, value: Any, place: str) -> List[str]:
    return [] if value == schema["const"] else [f"{place}: {value!r:.60} is not {schema['const']!r}"]


def _one_of(contract: Contract, schema: Any, value: Any, place: str) -> List[str]:
    tries = [contract.problems(each, value, place) for each in schema["oneOf"]]
    return [] if sum(not each for each in tries) == 1 else [f"{place}: {value!r:.60} fits not one of: {tries}"]


def _string(_contract: Contract, schema: Any, value: Any, place: str) -> List[str]:
    if not isinstance(value, str):
        return []
    size = len(value.encode("utf-8", "surrogatepass"))
    found = []
    if not schema.get("minLength", 0) <= size <= schema.get("maxLength", size):
        found.append(f"{place}: {size} bytes are too few or too many")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        found.append(f"{place}: {value!r:.60} does not match {schema['pattern']}")
    return found


def _number(_contract: Contract, schema: Any, value: Any, place: str) -> List[str]:
    if not _TYPES["number"](value):
        return []
    good = schema.get("minimum", value) <= value <= schema.get("maximum", value)
    return [] if good else [f"{place}: {value} is out of range"]


def _array(contract: Contract, schema: Any, value: Any, place: str) -> List[str]:
    if not isinstance(value, list):
        return []
    found = []
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        found.append(f"{place}: {len(value)} elements are too few or too many")
    for index, each in enumerate(value if "items" in schema else []):
        found += contract.problems(schema["items"], each, f"{place}[{index}]")
    return found


def _object(contract: Contract, schema: Any, value: Any, place: str) -> List[str]:
    if not isinstance(value, dict):
        return []
    properties = schema.get("properties", {})
    found = [f"{place}: {key} is missing" for key in schema.get("required", []) if key not in value]
    for key, each in value.items():
        other = schema.get("additionalProperties", True)
        if key in properties:
            found += contract.problems(properties[key], each, f"{place}.{key}")
        elif other is False:
            found.append(f"{place}: {key} is unknown")
        elif other is not True:
            found += contract.problems(other, each, f"{place}.{key}")
    return found


_CHECKS = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "oneOf": _one_of,
    "minLength": _string,
    "maxLength": _string,
    "pattern": _string,
    "minimum": _number,
    "maximum": _number,
    "items": _array,
    "minItems": _array,
    "maxItems": _array,
    "properties": _object,
    "required": _object,
    "additionalProperties": _object,
}
