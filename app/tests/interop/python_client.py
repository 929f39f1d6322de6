"""The official Python client: python_client.py <url> <polling|websocket|upgrade>; fails by its status."""

import queue
import sys
import time

import socketio

URL, TRANSPORT = sys.argv[1:]
TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": ["polling", "websocket"]}
PATIENCE_S = 10


class Client:
    """A connected client whose events are kept until they are asked for."""

    def __init__(self, namespace="/", auth=None):
        self.namespace = namespace
        self.events = queue.Queue()
        self.io = socketio.Client(reconnection=False)
        for name in ("auth", "message-back", "said"):
            self.io.on(name, lambda *args, name=name: self.events.put((name, args)), namespace=namespace)
        self.io.on("question", lambda question: (question, b"\x00\xff"), namespace=namespace)
        self.io.on("disconnect", lambda reason: self.events.put(("disconnect", (reason,))), namespace=namespace)
        self.io.connect(
            URL, transports=TRANSPORTS[TRANSPORT], namespaces=[namespace], auth=auth, wait_timeout=PATIENCE_S
        )
        self.expect("auth", auth or {})

    def emit(self, event, *args):
        self.io.emit(event, args, namespace=self.namespace)

    def ask(self, event, *args):
        return self.io.call(event, args, namespace=self.namespace, timeout=PATIENCE_S)

    def expect(self, name, *args):
        got = self.events.get(timeout=PATIENCE_S)
        assert got == (name, args), f"{got} instead of {(name, args)}"

    def expect_all(self, *expected):
        """In any order: this client hands each message to a thread of its own."""
        left = list(expected)
        while left:
            got = self.events.get(timeout=PATIENCE_S)
            assert got in left, f"{got} instead of one of {left}"
            left.remove(got)


def main():
    one = Client(auth={"token": "é"})
    two = Client()
    final = "polling" if TRANSPORT == "polling" else "websocket"
    end = time.monotonic() + PATIENCE_S
    while one.ask("whoami")["transport"] != final:
        assert time.monotonic() < end, f"not upgraded to {final}"
        time.sleep(0.02)
    assert one.ask("whoami")["id"] == one.io.get_sid()

    things = ("héllo €😀", 1, None, {"a": [b"\x01\xff", {"b": b""}]}, b"z")
    one.emit("message", *things)
    one.expect("message-back", *things)
    assert one.ask("message-with-ack", *things) == things
    assert one.ask("ask", {"q": 1}) == ({"q": 1}, b"\x00\xff")
    # This client takes at most 16 packets in one poll; a server cannot know.
    for start in range(0, 200, 10):
        for n in range(start, start + 10):
            one.emit("message", n)
        one.expect_all(*(("message-back", (n,)) for n in range(start, start + 10)))

    for client in (one, two):
        client.ask("join", "room")
    one.emit("say", "room", {"n": 1})
    one.emit("say-all", "all", b"\x07")
    two.expect_all(("said", ({"n": 1},)), ("said", ("all", b"\x07")))
    one.expect("said", "all", b"\x07")

    custom = Client("/custom", {"n": 1})
    custom.emit("message", "there")
    custom.expect("message-back", "there")
    refused = socketio.Client(reconnection=False)
    reasons = queue.Queue()
    refused.on("connect_error", reasons.put, namespace="/denied")
    try:
        refused.connect(URL, transports=TRANSPORTS[TRANSPORT], namespaces=["/denied"], wait_timeout=PATIENCE_S)
    except socketio.exceptions.ConnectionError:
        pass
    else:
        raise AssertionError("/denied let it in")
    reason = reasons.get(timeout=PATIENCE_S)
    assert reason == {"message": "nope", "data": {"code": 7}}, reason

    two.emit("bye", True)
    two.expect("disconnect", socketio.Client.reason.SERVER_DISCONNECT)
    assert one.ask("message-with-ack", 1) == 1
    for client in (one, custom):
        client.io.disconnect()
        client.expect("disconnect", socketio.Client.reason.CLIENT_DISCONNECT)


main()
