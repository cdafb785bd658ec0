#!/usr/bin/env python3
"""Programs an image under a lease, and shows how far it is.

    flash.py HOST PORT FILE

The file goes to the daemon in pieces; one that is there already is not sent again. If the connection is lost while it
programs, the daemon goes on: the operation is taken up again by its id.
"""

import base64
import hashlib
import itertools
import json
import os
import socket
import sys

PIECE = 1 << 20


class OcdmuxError(Exception):
    """An error reply. `kind` is what to switch on; `data` holds the details, and OpenOCD's own words."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.data = error.get("data", {})
        self.kind = self.data.get("kind")


class Connection:
    """One call at a time. `notify` gets what comes before its answer."""

    def __init__(self, host, port, notify):
        self.socket = socket.create_connection((host, int(port)))
        self.lines = self.socket.makefile("rb")
        self.ids = itertools.count(1)
        self.notify = notify

    def call(self, method, **params):
        number = next(self.ids)
        call = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self.socket.sendall(json.dumps(call).encode() + b"\n")
        for line in self.lines:
            message = json.loads(line)
            if "method" in message:
                self.notify(message["method"], message["params"])
            elif message["id"] == number:
                if "error" in message:
                    raise OcdmuxError(message["error"])
                return message["result"]
        raise ConnectionError("the daemon closed the connection")


def upload(connection, path):
    """The id of a stage that holds the file."""
    with open(path, "rb") as file:
        content = file.read()
    digest = hashlib.sha256(content).hexdigest()
    made = connection.call("stage.create", name=os.path.basename(path), size=len(content), sha256=digest)
    offset = len(content) if made["present"] else made["offset"]
    while offset < len(content):
        data = base64.b64encode(content[offset : offset + PIECE]).decode()
        offset = connection.call("stage.write", stage=made["stage"], offset=offset, data=data)["offset"]
    return made["stage"]


def main(host, port, path):
    operation = None

    def show(method, params):
        nonlocal operation
        if method == "progress":
            operation = params["operation"]
            print(f"{params['phase']}: {params['done']} of {params.get('total', '?')} {params['unit']}")

    connection = Connection(host, port, show)
    connection.call("server.hello", client="flash.py")
    try:
        stage = upload(connection, path)
        connection.call("lease.acquire", wait_ms=60000, reason=f"flashing {os.path.basename(path)}")
        result = connection.call("flash.write_image", stage=stage, prepare="reset_halt", reset="halt", progress=1)
        connection.call("lease.release")
    except OcdmuxError as error:
        words = error.data.get("openocd", {}).get("text", "")
        print(f"{error.kind}: {error}", words, sep="\n", file=sys.stderr)
        return 1
    except ConnectionError:
        if operation is None:
            raise
        connection = Connection(host, port, show)
        result = connection.call("operation.wait", operation=operation, timeout_ms=600000)
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
