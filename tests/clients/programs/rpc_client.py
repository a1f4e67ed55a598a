"""A user of the service in rpc_server.py.

rpc_client.py ADDRESS
"""

import sys

import gevent
import zerorpc
import zmq
from saying import say

LIMIT = 60


def fails(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise SystemExit(f"no {kind.__name__}")


assert zmq
client = zerorpc.Client(heartbeat=1.5, timeout=LIMIT)
client.connect(sys.argv[1])
say("connected", server=client.identity())

assert client.add(40, 2) == 42
assert client.echo("x" * 3_000_000) == "x" * 3_000_000
assert client.echo({"a": [1, None, "ä"]}) == {"a": [1, None, "ä"]}
for number in range(300):
    assert client.add(number, 1) == number + 1
calls = [gevent.spawn(client.add, number, number) for number in range(100)]
gevent.joinall(calls, timeout=LIMIT, raise_error=True)
assert [call.value for call in calls] == [2 * number for number in range(100)]
say("called")

# more than the buffer of a channel, so that the receiver has to make room again and again
assert list(client.count(3000)) == list(range(3000))
say("streamed")

error = fails(zerorpc.RemoteError, client.fail)
assert error.name == "KeyError", error.name
assert "rpc_server.py" in error.traceback, error.traceback
stream = iter(client.breaks())
assert next(stream) == 1
assert fails(zerorpc.RemoteError, lambda: next(stream)).msg == "in the middle"
fails(zerorpc.RemoteError, client.no_such_method)
fails(zerorpc.TimeoutExpired, lambda: client.wait(30, timeout=1))
say("failed")

# twice what a peer may be silent for when it sends no heartbeats
assert client.wait(6) == "waited"
say("beaten")

client.finish()
client.close()

# the service is gone, which only missing heartbeats tell
lost = zerorpc.Client(heartbeat=1.5, timeout=LIMIT)
lost.connect(sys.argv[1])
fails(zerorpc.LostRemote, lambda: lost.add(1, 2))
lost.close()
say("ended")
