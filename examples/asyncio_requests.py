"""asyncio: one server task and many client tasks on one thread.

`pyzq.asyncio` has the same sockets with awaitable calls. A receive that is cancelled, by a timeout for instance, loses
no message.
"""

import asyncio

import pyzq.asyncio
from pyzq import DEALER, LAST_ENDPOINT, REQ, ROUTER

CLIENTS = 5
REQUESTS = 100


async def serve(server: pyzq.asyncio.Socket) -> None:
    """Answer requests as they come; the identity in front of each says whom the answer is for."""
    while True:
        *envelope, request = await server.recv_multipart()
        await server.send_multipart([*envelope, request.upper()])


async def ask(context: pyzq.asyncio.Context, endpoint: str, name: str) -> int:
    """Send requests one after the other and check each reply."""
    with context.socket(REQ) as client:
        client.connect(endpoint)
        for number in range(REQUESTS):
            await client.send_string(f"{name}, request {number}")
            reply = await client.recv_string()
            assert reply == f"{name}, request {number}".upper(), reply
    return REQUESTS


async def give_up(context: pyzq.asyncio.Context) -> None:
    """Nobody answers here: the receive is cancelled after a moment, and the socket is as usable as before."""
    with context.socket(DEALER) as waiting:
        waiting.bind("inproc://nobody")
        try:
            await asyncio.wait_for(waiting.recv(), 0.05)
        except asyncio.TimeoutError:
            pass
        with context.socket(DEALER) as late:
            late.connect("inproc://nobody")
            await late.send(b"better late")
            assert await waiting.recv() == b"better late"


async def main() -> None:
    with pyzq.asyncio.Context() as context, context.socket(ROUTER) as server:
        server.bind("tcp://127.0.0.1:0")
        endpoint = server.get_string(LAST_ENDPOINT)
        serving = asyncio.create_task(serve(server))
        answered = await asyncio.gather(*(ask(context, endpoint, f"client {n}") for n in range(CLIENTS)))
        await give_up(context)
        serving.cancel()
        await asyncio.wait([serving])
    print(f"{CLIENTS} clients, {sum(answered)} requests answered at {endpoint}")


if __name__ == "__main__":
    asyncio.run(main())
