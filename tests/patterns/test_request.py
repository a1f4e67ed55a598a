"""REQ, REP and their envelopes (RFC 28)."""

import pytest
from support.impl import TRANSPORTS, links, ours_only, sides, zmq
from support.rawpeer import RawListener, RawPeer, message
from support.waiting import drain, nothing, wait_for


def refused(call, *args, errno):
    with pytest.raises(zmq.ZMQError) as caught:
        call(*args)
    assert caught.value.errno == int(errno), caught.value


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_alternation_is_strict(world, transport):
    req, rep = world.pair(zmq.REQ, zmq.REP, transport)
    refused(req.recv, int(zmq.DONTWAIT), errno=zmq.EFSM)
    refused(rep.send, b"early", int(zmq.DONTWAIT), errno=zmq.EFSM)
    req.send(b"one")
    refused(req.send, b"two", int(zmq.DONTWAIT), errno=zmq.EFSM)
    assert rep.recv() == b"one"
    refused(rep.recv, int(zmq.DONTWAIT), errno=zmq.EFSM)
    rep.send(b"reply")
    refused(rep.send, b"again", int(zmq.DONTWAIT), errno=zmq.EFSM)
    assert req.recv() == b"reply"
    refused(req.recv, int(zmq.DONTWAIT), errno=zmq.EFSM)
    req.send(b"three")
    assert rep.recv() == b"three"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_events_follow_the_state(world, transport):
    req, rep = world.pair(zmq.REQ, zmq.REP, transport)
    assert req.poll(5000, int(zmq.POLLOUT)) == int(zmq.POLLOUT)
    assert not rep.poll(0, int(zmq.POLLOUT))
    assert not req.poll(0, int(zmq.POLLIN))
    req.send(b"q")
    assert not req.get(int(zmq.EVENTS)) & int(zmq.POLLOUT)
    assert rep.poll(5000, int(zmq.POLLIN)) == int(zmq.POLLIN)
    rep.recv()
    assert rep.get(int(zmq.EVENTS)) & int(zmq.POLLOUT)
    rep.send(b"a")
    assert not rep.get(int(zmq.EVENTS)) & int(zmq.POLLOUT)
    assert req.poll(5000, int(zmq.POLLIN)) == int(zmq.POLLIN)


def test_half_read_request_can_not_be_answered(world):
    req, rep = world.pair(zmq.REQ, zmq.REP)
    req.send_multipart([b"a", b"b"])
    assert rep.recv() == b"a"
    assert rep.rcvmore
    refused(rep.send, b"x", int(zmq.DONTWAIT), errno=zmq.EFSM)
    assert rep.recv() == b"b"
    assert not rep.rcvmore
    rep.send(b"ok")
    assert req.recv() == b"ok"


@pytest.mark.parametrize("link", links())
def test_envelope_over_three_hops(world, link):
    """REQ -> ROUTER/DEALER -> ROUTER/DEALER -> REP: every hop adds an identity, REP gives all of them back."""
    transport, side_a, side_b = link
    req = world.socket(zmq.REQ, side_a)
    outer_router, outer_dealer = world.socket(zmq.ROUTER, side_b), world.socket(zmq.DEALER, side_b, ROUTING_ID=b"hop-1")
    inner_router, inner_dealer = world.socket(zmq.ROUTER, side_a), world.socket(zmq.DEALER, side_a, ROUTING_ID=b"hop-2")
    rep_router = world.socket(zmq.ROUTER, side_b)
    req.set(int(zmq.ROUTING_ID), b"asker")
    world.link(outer_router, req, transport)
    world.link(inner_router, outer_dealer, transport)
    world.link(rep_router, inner_dealer, transport)
    for question in ([b"q"], [b"two", b"", b"parts"]):
        req.send_multipart(question)
        outer_dealer.send_multipart(outer_router.recv_multipart())
        inner_dealer.send_multipart(inner_router.recv_multipart())
        seen = rep_router.recv_multipart()
        assert seen == [b"hop-2", b"hop-1", b"asker", b"", *question]
        rep_router.send_multipart(seen)
        inner_router.send_multipart(inner_dealer.recv_multipart())
        outer_router.send_multipart(outer_dealer.recv_multipart())
        assert req.recv_multipart() == question


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_rep_keeps_the_whole_envelope(world, transport):
    dealer, rep = world.pair(zmq.DEALER, zmq.REP, transport)
    dealer.send_multipart([b"a", b"b", b"c", b"", b"body", b"", b"tail"])
    assert rep.recv_multipart() == [b"body", b"", b"tail"]
    rep.send_multipart([b"answer"])
    assert dealer.recv_multipart() == [b"a", b"b", b"c", b"", b"answer"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_rep_drops_a_request_without_delimiter(world, transport):
    dealer, rep = world.pair(zmq.DEALER, zmq.REP, transport)
    dealer.send_multipart([b"no", b"delimiter"])
    dealer.send(b"nor here")
    dealer.send_multipart([b"", b"good"])
    assert rep.recv_multipart() == [b"good"]
    rep.send(b"fine")
    assert dealer.recv_multipart() == [b"", b"fine"]
    assert drain(dealer) == []


@ours_only
@pytest.mark.parametrize("transport", ["tcp"])
def test_a_bad_request_costs_the_next_client_nothing(world, transport):
    """A request without delimiter whose sender is gone already must not swallow another client's reply."""
    rep = world.socket(zmq.REP)
    endpoint = world.bind(rep, transport)
    raw = RawPeer.connect(endpoint)
    raw.handshake(b"DEALER", b"")
    raw.send_message(b"no delimiter")
    raw.close()
    req = world.socket(zmq.REQ)
    req.connect(endpoint)
    for number in range(3):
        req.send(b"%d" % number)
        assert rep.recv() == b"%d" % number
        rep.send(b"r%d" % number)
        assert req.recv() == b"r%d" % number


def test_reply_goes_to_the_asker(world):
    rep = world.socket(zmq.REP)
    endpoint = world.bind(rep, "tcp")
    askers = [world.socket(zmq.REQ) for _ in range(5)]
    for asker in askers:
        asker.connect(endpoint)
    for number, asker in enumerate(askers):
        asker.send(b"%d" % number)
    for _ in askers:
        rep.send(b"to " + rep.recv())
    for number, asker in enumerate(askers):
        assert asker.recv() == b"to %d" % number


def test_requests_go_round_robin(world):
    req = world.socket(zmq.REQ)
    workers = [world.socket(zmq.REP) for _ in range(3)]
    for worker in workers:
        req.connect(world.bind(worker, "inproc"))
    served = [0, 0, 0]
    for _ in range(9):
        req.send(b"job")
        wait_for(lambda: any(worker.poll(0) for worker in workers), "a worker getting the job")
        index = next(index for index, worker in enumerate(workers) if worker.poll(0))
        served[index] += 1
        workers[index].send(workers[index].recv())
        req.recv()
    assert served == [3, 3, 3]


def test_req_hears_only_the_peer_it_asked(world):
    """A reply from anybody else is discarded."""
    req = world.socket(zmq.REQ)
    routers = [world.socket(zmq.ROUTER) for _ in range(2)]
    for router in routers:
        req.connect(world.bind(router, "inproc"))
    req.set(int(zmq.RCVTIMEO), 50)
    first, second = routers
    req.send(b"one")
    if not first.poll(1000):
        first, second = second, first
    name_first, _, question = first.recv_multipart()
    assert question == b"one"
    first.send_multipart([name_first, b"", b"right"])
    first.send_multipart([name_first, b"", b"surplus"])  # nobody waits for it
    assert req.recv() == b"right"
    req.send(b"two")
    name_second, _, question = second.recv_multipart()
    second.send_multipart([name_second, b"", b"from the second"])
    req.set(int(zmq.RCVTIMEO), 10_000)
    assert req.recv() == b"from the second"


def test_a_second_reply_is_not_taken_for_the_next_one(world):
    with RawListener() as listener:
        req = world.socket(zmq.REQ)
        req.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"REP")
        req.send(b"one")
        assert raw.recv_message() == [b"", b"one"]
        raw.send(message(b"", b"right") + message(b"", b"surplus"))
        assert req.recv() == b"right"
        req.send(b"two")
        assert raw.recv_message() == [b"", b"two"]
        raw.send_message(b"", b"second")
        assert req.recv() == b"second"


@ours_only
def test_req_forgets_who_speaks_unasked_and_leaves(world):
    req = world.socket(zmq.REQ)
    endpoint = world.bind(req, "tcp")
    for _ in range(5):
        with RawPeer.connect(endpoint) as raw:
            raw.handshake(b"REP")
            raw.send_message(b"", b"unasked")
    wait_for(lambda: req.stats()["recv"]["accepted"] == 5 and not req.stats()["peers"], "the peers' end")
    assert req.stats()["recv"]["dropped"] == {"filtered": 5}
    rep = world.socket(zmq.REP)
    rep.connect(endpoint)
    req.send(b"question")
    assert rep.recv() == b"question"


def test_inproc_reply_without_delimiter_is_skipped(world):
    router = world.socket(zmq.ROUTER)
    req = world.socket(zmq.REQ)
    world.link(router, req, "inproc")
    req.send(b"q")
    peer = router.recv_multipart()[0]
    router.send_multipart([peer, b"no delimiter"])
    router.send_multipart([peer, b"", b"good"])
    assert req.recv() == b"good"


def test_tcp_reply_without_delimiter_closes_the_connection(world):
    with RawListener() as listener:
        req = world.socket(zmq.REQ, RECONNECT_IVL=20)
        req.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"REP")
        req.send(b"q")
        assert raw.recv_message() == [b"", b"q"]
        raw.send_message(b"no delimiter")
        raw.wait_closed()


def test_wire_form_of_a_request(world):
    with RawListener() as listener:
        req = world.socket(zmq.REQ)
        req.connect(listener.endpoint)
        raw = listener.accept()
        properties = raw.handshake(b"REP")
        assert properties == {b"Socket-Type": b"REQ", b"Identity": b""}
        req.send_multipart([b"q", b"r"])
        assert raw.recv_exact(8) == b"\x01\x00" + b"\x01\x01q" + b"\x00\x01r"
        raw.send(message(b"", b"a"))
        assert req.recv_multipart() == [b"a"]


# -- REQ_RELAXED and REQ_CORRELATE


@pytest.mark.parametrize("pair", sides())
def test_relaxed_req_may_ask_again(world, pair):
    router = world.socket(zmq.ROUTER, pair[0])
    req = world.socket(zmq.REQ, pair[1], REQ_RELAXED=1, REQ_CORRELATE=1)
    world.link(router, req, "tcp")
    req.send(b"one")
    first = router.recv_multipart()
    req.send(b"two")
    second = router.recv_multipart()
    assert [part[-1] for part in (first, second)] == [b"one", b"two"]
    assert len(first) == 4
    assert len(first[1]) == 4
    assert first[1] != second[1]
    assert first[2] == b""
    router.send_multipart([*first[:-1], b"stale"])
    router.send_multipart([*second[:-1], b"fresh"])
    assert req.recv() == b"fresh"
    assert drain_nothing(req)


def drain_nothing(req):
    with pytest.raises(zmq.ZMQError if isinstance(req, zmq.Socket) else Exception) as caught:
        req.recv(int(zmq.DONTWAIT))
    return caught.value.errno == int(zmq.EFSM)


def test_relaxed_without_correlation_takes_the_last_peer_only(world):
    """The abandoned request's pipe is ended: its worker's late answer is never taken for the second's."""
    req = world.socket(zmq.REQ, REQ_RELAXED=1)
    workers = [world.socket(zmq.REP) for _ in range(2)]
    for worker in workers:
        req.connect(world.bind(worker, "inproc"))
    req.send(b"one")
    wait_for(lambda: any(worker.poll(0) for worker in workers), "the first request")
    first = next(worker for worker in workers if worker.poll(0))
    second = next(worker for worker in workers if worker is not first)
    first.recv()
    req.send(b"two")
    second.recv()
    first.send(b"late")
    second.send(b"right")
    assert req.recv() == b"right"


def test_correlated_ids_differ_and_strangers_are_discarded(world):
    router = world.socket(zmq.ROUTER)
    req = world.socket(zmq.REQ, REQ_CORRELATE=1)
    world.link(router, req, "tcp")
    seen = set()
    for number in range(4):
        req.send(b"%d" % number)
        peer, ident, empty, body = router.recv_multipart()
        assert empty == b""
        assert body == b"%d" % number
        assert len(ident) == 4
        seen.add(ident)
        router.send_multipart([peer, b"\0\0\0\0" if ident != b"\0\0\0\0" else b"\1\1\1\1", b"", b"wrong id"])
        router.send_multipart([peer, ident, b"", b"right"])
        assert req.recv() == b"right"
    assert len(seen) == 4


def test_correlated_req_talks_to_rep(world):
    req, rep = world.pair(zmq.REQ, zmq.REP, options_a={"REQ_CORRELATE": 1, "REQ_RELAXED": 1})
    for _ in range(3):
        req.send(b"q")
        rep.send(rep.recv() + b"!")
        assert req.recv() == b"q!"


def test_strict_req_refuses_a_second_request(world):
    req, rep = world.pair(zmq.REQ, zmq.REP)
    req.send(b"one")
    refused(req.send, b"two", int(zmq.DONTWAIT), errno=zmq.EFSM)
    rep.recv()
    nothing(rep)
    rep.send(b"x")


# -- PROBE_ROUTER


@pytest.mark.parametrize("kind", ["REQ", "DEALER", "ROUTER"])
def test_probe_announces_the_peer(world, kind):
    router = world.socket(zmq.ROUTER)
    prober = world.socket(getattr(zmq, kind), PROBE_ROUTER=1, ROUTING_ID=b"prober")
    world.link(router, prober, "tcp")
    assert router.recv_multipart() == [b"prober", b""]
    if kind != "REQ":
        router.send_multipart([b"prober", b"hello"])
        assert prober.recv_multipart()[-1] == b"hello"
    else:
        prober.send(b"q")
        assert router.recv_multipart() == [b"prober", b"", b"q"]
