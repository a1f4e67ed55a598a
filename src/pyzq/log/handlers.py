"""Publishing what a program logs.

    logger = logging.getLogger()
    logger.addHandler(PUBHandler("tcp://127.0.0.1:12345", root_topic="service"))
    logger.info("database::connected")

Each record is a message of two parts: its topic, here `service.INFO.database`, and its text. Subscribers choose by the
beginning of the topic; `python -m pyzq.log tcp://127.0.0.1:12345` shows them all.
"""

from __future__ import annotations

import logging
from copy import copy

from pyzq.constants import SocketType
from pyzq.context import Context
from pyzq.socket import Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Between the topic and the text of what is logged.
TOPIC_DELIM = "::"

_PLACE = "%(levelname)s %(filename)s:%(lineno)d - %(message)s"
_FORMATS = {
    logging.DEBUG: f"{_PLACE}\n",
    logging.INFO: "%(message)s\n",
    logging.WARNING: f"{_PLACE}\n",
    logging.ERROR: f"{_PLACE} - %(exc_info)s\n",
    logging.CRITICAL: f"{_PLACE}\n",
}


class PUBHandler(logging.Handler):
    """Publishes log records through a PUB socket.

    Args:
        interface_or_socket: an address to bind a new socket to, or a socket that is ready for use.
        context: whose socket to make; None is a new context. With a socket it is not used.
        root_topic: what all topics begin with.

    Attributes:
        socket: the socket.
        ctx: its context.
        formatters: how records are made text, by level.
        root_topic: what all topics begin with.

    Raises:
        ZMQError: the address cannot be bound to.
    """

    ctx: Context[Any]
    socket: Socket[Any]

    def __init__(
        self, interface_or_socket: str | Socket[Any], context: Context[Any] | None = None, root_topic: str = ""
    ) -> None:
        super().__init__()
        self.root_topic = root_topic
        self.formatters: dict[int, logging.Formatter] = {
            level: logging.Formatter(text) for level, text in _FORMATS.items()
        }
        if isinstance(interface_or_socket, str):
            self.ctx = Context() if context is None else context
            self.socket = self.ctx.socket(SocketType.PUB)
            self.socket.bind(interface_or_socket)
        else:
            self.socket = interface_or_socket
            self.ctx = self.socket.context

    @property
    def root_topic(self) -> str:
        """What all topics begin with; empty: with the level."""
        return self._root_topic

    @root_topic.setter
    def root_topic(self, value: str | bytes) -> None:
        self._root_topic = value.decode("utf8") if isinstance(value, bytes) else value

    def setRootTopic(self, root_topic: str | bytes) -> None:
        """Set `root_topic`."""
        self.root_topic = root_topic

    def setFormatter(self, fmt: logging.Formatter | None, level: int = logging.NOTSET) -> None:
        """Say how records are made text.

        Args:
            fmt: None restores what it was at first.
            level: of which level; NOTSET is all of them.
        """
        for known in _FORMATS if level == logging.NOTSET else (level,):
            text = _FORMATS.get(known, f"{_PLACE}\n")
            self.formatters[known] = logging.Formatter(text) if fmt is None else fmt
        if level == logging.NOTSET:
            super().setFormatter(fmt)

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record, by the formatter of its level; levels that have none are formatted as the one below."""
        formatter = self.formatters.get(record.levelno)
        if formatter is None:
            below = [level for level in self.formatters if level <= record.levelno]
            formatter = self.formatters[max(below, default=logging.DEBUG)]
        return formatter.format(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Publish a record."""
        try:
            topic, delimiter, text = str(record.msg).partition(TOPIC_DELIM)
            if delimiter:
                record = copy(record)  # other handlers get it as it was
                record.msg = text
            else:
                topic = ""
            message = self.format(record).encode("utf8")
            names = [name for name in (self.root_topic, record.levelname, topic) if name]
            self.socket.send_multipart([".".join(names).encode("utf8", "replace"), message])
        except Exception:
            self.handleError(record)


class TopicLogger(logging.Logger):
    """A logger whose methods take a topic before the text.

    logger.info("database", "connected to %s", name)
    """

    def log(self, level: int, topic: str, msg: object, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Log with a level, under a topic."""
        # The caller is one frame further up than the logging module takes it for.
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().log(level, f"{topic}{TOPIC_DELIM}{msg}", *args, **kwargs)

    def debug(self, topic: str, msg: object, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Log with level DEBUG, under a topic."""
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().debug(f"{topic}{TOPIC_DELIM}{msg}", *args, **kwargs)

    def info(self, topic: str, msg: object, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Log with level INFO, under a topic."""
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().info(f"{topic}{TOPIC_DELIM}{msg}", *args, **kwargs)

    def warning(self, topic: str, msg: object, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Log with level WARNING, under a topic."""
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().warning(f"{topic}{TOPIC_DELIM}{msg}", *args, **kwargs)

    warn = warning  # type: ignore[assignment]

    def error(self, topic: str, msg: object, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Log with level ERROR, under a topic."""
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().error(f"{topic}{TOPIC_DELIM}{msg}", *args, **kwargs)

    def exception(  # type: ignore[override]
        self, topic: str, msg: object, *args: Any, exc_info: Any = True, **kwargs: Any
    ) -> None:
        """Log with level ERROR, under a topic, with the exception that is being handled."""
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        self.error(topic, msg, *args, exc_info=exc_info, **kwargs)

    def critical(self, topic: str, msg: object, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Log with level CRITICAL, under a topic."""
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().critical(f"{topic}{TOPIC_DELIM}{msg}", *args, **kwargs)

    fatal = critical  # type: ignore[assignment]


__all__ = ["TOPIC_DELIM", "PUBHandler", "TopicLogger"]
