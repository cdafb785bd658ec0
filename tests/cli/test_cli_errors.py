"""What a failed request looks like: the error's kind and message, OpenOCD's words, the details, the exit status."""

import socket
import threading

import pytest

from fake_server import NO_ANSWER, RpcError


def test_error_with_openocd_words_and_details(tool, server) -> None:
    server.on("memory.read_u32", RpcError("target_error", "cannot read 4 bytes at 0x40000000", address="0x40000000",
                                          openocd={"code": -4, "text": "Fault\nread_memory: failed to read memory\n"}))
    outcome = tool.run("read", "0x40000000")
    assert outcome.status == 1
    assert outcome.out == ""
    assert outcome.error == ("ocdmux: target_error: cannot read 4 bytes at 0x40000000\n"
                             "  OpenOCD (-4): Fault\n"
                             "    read_memory: failed to read memory\n"
                             "  address: 0x40000000\n")


@pytest.mark.parametrize("kind, code", [("forbidden", -32000), ("invalid_params", -32602), ("unsupported", -32000),
                                        ("board_busy", -32000), ("internal_error", -32603)])
def test_every_kind_is_status_1(tool, server, kind, code) -> None:
    server.on("target.halt", RpcError(kind, "no", code))
    outcome = tool.run("halt")
    assert (outcome.status, outcome.error) == (1, f"ocdmux: {kind}: no\n")


def test_error_goes_to_stderr_with_json_too(tool, server) -> None:
    server.on("target.halt", RpcError("timeout", "too slow", timeout_ms=5))
    outcome = tool.run("halt", "--json")
    assert (outcome.status, outcome.out, outcome.error) == (1, "", "ocdmux: timeout: too slow\n  timeout_ms: 5\n")


def test_error_without_data_is_understood_by_its_code(tool, server) -> None:
    def handler(call):
        call.send_raw(b'{"jsonrpc":"2.0","id":%d,"error":{"code":-32601,"message":"what?"}}\n' % call.id)
        return NO_ANSWER

    server.on("target.halt", handler)
    assert tool.run("halt").error == "ocdmux: method_not_found: what?\n"


def test_error_of_hello_is_reported(tool, server) -> None:
    server.on("server.hello", RpcError("unauthenticated", "no token"))
    outcome = tool.run("halt")
    assert (outcome.status, outcome.error) == (1, "ocdmux: unauthenticated: no token\n")
    assert server.called("target.halt") == []


def test_other_protocol_version_is_status_3(tool, server) -> None:
    server.check_results = False
    server.on("server.hello", {"protocol": 2, "limits": {}})
    outcome = tool.run("halt")
    assert outcome.status == 3 and "does not speak version 1 of the protocol" in outcome.error


def test_error_without_id_ends_the_only_request(tool, server) -> None:
    def handler(call):
        call.send_raw(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"eh?","data":{"kind":"parse_error"}}}\n')
        return NO_ANSWER

    server.on("target.halt", handler)
    outcome = tool.run("halt")
    assert (outcome.status, outcome.error) == (1, "ocdmux: parse_error: eh?\n")


def test_no_answer_in_time_asks_the_server_to_cancel(tool, server) -> None:
    server.on("target.halt", lambda call: NO_ANSWER)
    outcome = tool.run("halt", "--timeout", "100")
    assert outcome.status == 1
    assert outcome.error == "ocdmux: timeout: no answer within 1100 ms; asked the server to cancel the request\n"
    assert server.wait_for("request.cancel")["params"] == {"id": server.called("target.halt")[0]["id"]}


def test_server_that_never_says_hello_is_no_connection(tool, server) -> None:
    server.on("server.hello", lambda call: NO_ANSWER)
    outcome = tool.run("halt", "--timeout", "100")
    assert outcome.status == 3
    assert outcome.error == f"ocdmux: connection_failed: {server.url} did not answer within 1100 ms\n"


def test_unix_socket_with_a_full_queue_is_no_connection(bare, tmp_path) -> None:
    path = str(tmp_path / "full.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(8)]
        for client in waiting:
            client.setblocking(False)
            try:
                client.connect(path)
            except BlockingIOError:
                break
        outcome = bare.run("--server", f"unix:{path}", "--timeout", "200", "halt")
        for client in waiting:
            client.close()
    assert outcome.status == 3 and "cannot connect" in outcome.error


def test_image_beyond_the_servers_limit_is_refused_here(tool, server) -> None:
    server.limits["max_image_bytes"] = 10
    (tool.directory / "fw.bin").write_bytes(bytes(11))
    for command, rest in (("flash", "  the flash is unchanged\n"), ("verify", ""), ("load", "  the memory is unchanged\n")):
        outcome = tool.run(command, "fw.bin")
        assert (outcome.status, outcome.out) == (1, "")
        assert outcome.error == ("ocdmux: limit_exceeded: fw.bin has 11 bytes, "
                                 "and this server takes images of at most 10\n" + rest)
    assert {request["method"] for request in server.requests} == {"server.hello"}


def test_other_long_line_is_refused_here(tool, server, examples) -> None:
    server.limits["max_line_bytes"] = 300
    outcome = tool.run("openocd", "x" * 300)
    assert outcome.status == 1
    assert outcome.error.startswith("ocdmux: line_too_long: the request is a line of ")
    assert server.called("openocd.command") == []


def test_argument_that_is_not_utf8_is_bad_usage(tool, server) -> None:
    outcome = tool.run("openocd", "\udcff")
    assert outcome.status == 2 and "not UTF-8" in outcome.error
    assert server.called("openocd.command") == []


def test_long_error_arrives_whole(tool, server) -> None:
    text = "".join(f"line {index}\n" for index in range(5000))
    server.on("openocd.command", RpcError("openocd_error", "m" * 5000, openocd={"code": 1, "text": text}))
    error = tool.run("openocd", "x").error
    assert "m" * 5000 in error and "line 4999" in error


def test_answer_in_the_middle_of_a_long_request(tool, server) -> None:
    """A server that answers without reading on, as one that finds a line too long does, is heard."""
    stop = threading.Event()

    def serve(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client:
            lines = client.makefile("rb")
            lines.readline()
            client.sendall(b'{"jsonrpc":"2.0","id":1,"result":{"protocol":1}}\n')
            client.recv(1000)
            client.sendall(b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"too long",'
                           b'"data":{"kind":"line_too_long"}}}\n')
            stop.wait(60)

    path = str(tool.directory / "deaf.sock")
    (tool.directory / "fw.bin").write_bytes(bytes(4 << 20))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        outcome = tool.run("--server", f"unix:{path}", "load-bytes", "0", "fw.bin")
        stop.set()
        thread.join(60)
    assert (outcome.status, outcome.error) == (
        1, "ocdmux: line_too_long: too long\n  written before that: 0 of 4194304 bytes\n")
