"""Publishing what is logged, and watching it."""

import importlib
import logging
import subprocess
import sys

import pytest
from support.impl import DEADLINE_MS, IMPL, OURS, ours_only, zmq
from support.waiting import wait_for

handlers = importlib.import_module(f"{IMPL}.log.handlers")


@pytest.fixture
def published(world):
    """(handler, logger, sub): what the logger logs the SUB receives."""
    pub, sub = world.socket(zmq.PUB), world.socket(zmq.SUB)
    sub.subscribe(b"")
    world.link(pub, sub, "inproc")
    handler = handlers.PUBHandler(pub)
    logger = handlers.TopicLogger("pyzq.test")
    logger.addHandler(handler)
    return handler, logger, sub


def plain(handler):
    logger = logging.Logger("pyzq.test.plain")
    logger.addHandler(handler)
    return logger


def test_topics(published):
    handler, _, sub = published
    logger = plain(handler)
    logger.info("text")
    assert sub.recv_multipart() == [b"INFO", b"text\n"]
    logger.info("some.topic::text %d", 7)
    assert sub.recv_multipart() == [b"INFO.some.topic", b"text 7\n"]
    handler.root_topic = "root"
    logger.info("a::b::c")
    assert sub.recv_multipart() == [b"root.INFO.a", b"b::c\n"]
    handler.setRootTopic(b"other")
    assert handler.root_topic == "other"
    logger.warning("x")
    topic, text = sub.recv_multipart()
    assert topic == b"other.WARNING"
    assert text.startswith(b"WARNING test_log.py:")


def test_other_handlers_get_the_record_as_it_was(published):
    handler, _, sub = published
    logger = plain(handler)
    seen = []
    other = logging.Handler()
    other.emit = lambda record: seen.append(record.msg)
    logger.addHandler(other)
    logger.info("topic::text")
    sub.recv_multipart()
    assert seen == ["topic::text"]


@ours_only  # some of pyzmq's methods take other arguments
def test_topic_logger(published):
    _, logger, sub = published
    for level in ("debug", "info", "warning", "error", "critical", "fatal", "warn"):
        getattr(logger, level)("topic", "text %s", "x")
        topic, text = sub.recv_multipart()
        name = {"fatal": "CRITICAL", "warn": "WARNING"}.get(level, level.upper())
        assert topic == f"{name}.topic".encode()
        assert b"text x" in text
    logger.log(logging.INFO, "topic", "text")
    assert sub.recv_multipart() == [b"INFO.topic", b"text\n"]
    try:
        raise RuntimeError("why")
    except RuntimeError:
        logger.exception("topic", "text")
    topic, text = sub.recv_multipart()
    assert topic == b"ERROR.topic"
    assert b"why" in text


@ours_only
def test_the_place_is_the_callers(published):
    _, logger, sub = published
    for call in (logger.warning, logger.exception, lambda *args: logger.log(logging.WARNING, *args)):
        call("topic", "text")
        assert b"test_log.py:" in sub.recv_multipart()[1]


def test_formatters(published):
    handler, _, sub = published
    logger = plain(handler)
    handler.setFormatter(logging.Formatter("<%(message)s>"), logging.INFO)
    logger.info("x")
    assert sub.recv_multipart() == [b"INFO", b"<x>"]
    handler.formatters[logging.DEBUG] = logging.Formatter("[%(message)s]")
    logger.debug("x")
    assert sub.recv_multipart() == [b"DEBUG", b"[x]"]
    handler.setFormatter(logging.Formatter("%(message)s!"))
    logger.error("x")
    assert sub.recv_multipart() == [b"ERROR", b"x!"]
    if OURS:
        handler.setFormatter(None)
        logger.info("x")
        assert sub.recv_multipart() == [b"INFO", b"x\n"]


@ours_only
def test_levels_of_ones_own(published):
    handler, _, sub = published
    plain(handler).log(25, "x")
    assert sub.recv_multipart() == [b"Level 25", b"x\n"]


def test_a_socket_of_its_own(world):
    context = world.new_context()
    handler = handlers.PUBHandler("inproc://log", context, root_topic="root")
    assert handler.ctx is context
    sub = world.socket(zmq.SUB, context=context)
    sub.subscribe(b"root.INFO")
    sub.connect("inproc://log")
    plain(handler).info("x")
    assert sub.recv_multipart() == [b"root.INFO", b"x\n"]
    sub.close()
    handler.socket.close()


@ours_only
def test_records_that_cannot_be_formatted(published, monkeypatch):
    handler, _, sub = published
    failed = []
    handler.handleError = failed.append
    plain(handler).info("%d", "no number")
    assert len(failed) == 1
    assert not sub.poll(0)


@ours_only
def test_watching(world):
    """`python -m pyzq.log`: prints until interrupted."""
    pub = world.socket(zmq.XPUB)
    address = world.bind(pub)
    command = [sys.executable, "-m", f"{IMPL}.log", address, "-t", "root", "--align", "--separator", " : "]
    watcher = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert pub.poll(DEADLINE_MS)
        assert pub.recv() == b"\x01root"
        handler = handlers.PUBHandler(pub)
        handler.root_topic = "root"
        logger = plain(handler)
        logger.info("longer_topic::first")
        logger.info("second")
        handler.root_topic = "other"
        logger.info("not this")
        handler.root_topic = "root.last"
        logger.info("third")
        lines = [watcher.stdout.readline() for _ in range(3)]
        assert lines[0] == "root.INFO.longer_topic : first\n"
        assert lines[1] == "root.INFO" + " " * 13 + " : second\n"
        assert lines[2].endswith(": third\n")
        watcher.send_signal(2)
        wait_for(lambda: watcher.poll() is not None, "the end of the watcher")
        assert watcher.returncode == 0
        assert watcher.stderr.read() == ""
    finally:
        watcher.kill()
        watcher.communicate()
