"""The official Python client against the server under test, over each transport.

usage: python_client.py URL
"""
import sys
import threading

import socketio

URL = sys.argv[1]
TRANSPORTS = {
    "polling": ["polling"],
    "websocket": ["websocket"],
    "upgrade": ["polling", "websocket"],
}


class Heard:
    """Events of one name, to be waited for."""

    def __init__(self, client, event, namespace="/"):
        self.values = []
        self.come = threading.Condition()
        client.on(event, self.hear, namespace=namespace)

    def hear(self, *args):
        with self.come:
            self.values.append(args)
            self.come.notify_all()

    def wait(self, count=1):
        with self.come:
            assert self.come.wait_for(lambda: len(self.values) >= count, 5), self.values
            return self.values[count - 1]


def scenario(name, transports):
    client = socketio.Client(reconnection=False)
    auth, back, said = (Heard(client, event) for event in ("auth", "message-back", "said"))
    custom = Heard(client, "message-back", "/custom")
    client.on("question", lambda n: n + 1)
    client.connect(URL, transports=transports, auth={"token": name}, namespaces=["/", "/custom"], wait_timeout=5)
    assert auth.wait() == ({"token": name},), auth.values

    client.emit("message", (1, "héllo €😀", {"deep": [b"\x01\x02", None]}))
    assert back.wait() == (1, "héllo €😀", {"deep": [b"\x01\x02", None]}), back.values
    client.emit("message", "custom", namespace="/custom")
    assert custom.wait() == ("custom",), custom.values

    assert client.call("message-with-ack", ("a", b"\x00\xff"), timeout=5) == ("a", b"\x00\xff")
    assert client.call("ask", 41, timeout=5) == 42
    me = client.call("whoami", timeout=5)
    assert me["id"] == client.get_sid(), me

    other = socketio.Client(reconnection=False)
    other.connect(URL, transports=transports, wait_timeout=5)
    client.call("join", "python", timeout=5)
    other.emit("say", ("python", "hello"))
    assert said.wait() == ("hello",), said.values
    other.disconnect()

    gone = Heard(client, "disconnect")
    client.emit("bye", True)
    gone.wait()

    denied = socketio.Client(reconnection=False)
    refusal = Heard(denied, "connect_error", "/denied")
    try:
        denied.connect(URL, transports=transports, namespaces=["/denied"], wait_timeout=5)
        raise AssertionError("it was admitted")
    except socketio.exceptions.ConnectionError:
        assert refusal.wait() == ({"message": "nope", "data": {"code": 7}},), refusal.values
    print(f"python over {name}: passed")


for name, transports in TRANSPORTS.items():
    scenario(name, transports)
