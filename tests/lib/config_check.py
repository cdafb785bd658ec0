"""Holds configurations of the daemon against proto/config.schema.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List

from protocol_check import SchemaChecker

SCHEMA_FILE = Path(__file__).resolve().parents[2] / "proto" / "config.schema.json"
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/', re.S)


def parse_config(text: str) -> Any:
    """JSON with // and /* */ comments outside of strings."""
    return json.loads(_TOKEN.sub(lambda found: found.group() if found.group()[0] == '"' else " ", text))


def schema() -> Dict[str, Any]:
    """The schema as a document."""
    document: Dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return document


def config_faults(text: str) -> List[str]:
    """What the schema has against the text of a configuration; one text a fault."""
    document = schema()
    keywords = {key: value for key, value in document.items() if not key.startswith("$")}
    return SchemaChecker(document).faults(parse_config(text), keywords)
