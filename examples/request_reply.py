"""Request-reply: one server, many clients, each request answered to the client that sent it.

REQ sends a request and waits for its reply, strictly in turn; REP receives a request and answers it, in turn as well.
The server takes the clients fairly: one request of each, then the next of each.
"""

import threading

import pyzq as zmq

CLIENTS = 5
REQUESTS = 200


def serve(server: zmq.Socket) -> None:
    """Answer every request until the context is terminated."""
    with server:
        try:
            while True:
                name, number = server.recv_json()
                server.send_json({"to": name, "square": number**2})
        except zmq.ContextTerminated:
            pass


def ask(context: zmq.Context, endpoint: str, name: str, answered: dict[str, int]) -> None:
    """Send requests one after the other and check each reply."""
    with context.socket(zmq.REQ) as client:
        client.connect(endpoint)
        for number in range(REQUESTS):
            client.send_json([name, number])
            reply = client.recv_json()
            assert reply == {"to": name, "square": number**2}, reply
        answered[name] = REQUESTS


def main() -> None:
    context = zmq.Context()
    server = context.socket(zmq.REP)
    # Port 0 lets the system choose one; LAST_ENDPOINT says which it was.
    server.bind("tcp://127.0.0.1:0")
    endpoint = server.get_string(zmq.LAST_ENDPOINT)
    # A socket may move to another thread; from here on it belongs to the server's.
    serving = threading.Thread(target=serve, args=(server,))
    serving.start()

    answered: dict[str, int] = {}
    clients = [
        threading.Thread(target=ask, args=(context, endpoint, f"client {n}", answered)) for n in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()

    # term() wakes the server's recv() with ContextTerminated and returns when its socket is closed.
    context.term()
    serving.join()
    assert len(answered) == CLIENTS, answered
    print(f"{CLIENTS} clients, {sum(answered.values())} requests answered at {endpoint}")


if __name__ == "__main__":
    main()
