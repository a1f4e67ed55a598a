"""A user of a cluster with two engines: map, push and pull, an exception, large data, load balancing, the end.

parallel_session.py CONNECTION_FILE
"""

import sys

import ipyparallel
from saying import say

LIMIT = 60


def identity():
    import os

    import zmq

    return os.getpid(), zmq.__name__, zmq.__file__


def fail(number):
    if number == 3:
        raise ValueError("three is too much")
    return number


def main(file):
    client = ipyparallel.Client(connection_info=file, timeout=LIMIT)
    client.wait_for_engines(2, timeout=LIMIT)
    direct, balanced = client[:], client.load_balanced_view()
    say("connected", engines=direct.apply_async(identity).get(LIMIT))

    assert direct.map_sync(lambda x: x * x, range(64)) == [x * x for x in range(64)]
    assert list(balanced.map_async(lambda x: x + 1, range(200)).get(LIMIT)) == list(range(1, 201))
    direct.push({"kept": b"x" * 3_000_000}, block=True)
    assert [len(one) for one in direct.pull("kept", block=True)] == [3_000_000, 3_000_000]
    direct.scatter("parts", list(range(10)), block=True)
    assert direct.gather("parts", block=True) == list(range(10))
    say("mapped")

    failing = balanced.map_async(fail, range(6))
    try:
        failing.get(LIMIT)
    except ipyparallel.error.CompositeError as error:
        assert "three is too much" in str(error)
    except ipyparallel.error.RemoteError as error:
        assert (error.ename, error.evalue) == ("ValueError", "three is too much")
    else:
        raise SystemExit("the failing task did not fail")
    printed = direct.execute("print('from the engine')", silent=False)
    printed.get(LIMIT)
    printed.wait_for_output(LIMIT)
    assert printed.stdout == ["from the engine\n"] * 2, printed.stdout
    assert len(client.queue_status()) == 3
    say("failed")

    client.shutdown(hub=True, block=True)
    client.close()
    say("ended")


if __name__ == "__main__":
    main(sys.argv[1])
