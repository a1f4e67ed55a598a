"""Shows what a program publishes with `PUBHandler`.

python -m pyzq.log tcp://127.0.0.1:12345 --topic service.ERROR --timestamp --align
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime

from pyzq.constants import SocketType
from pyzq.context import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Escape sequences of terminals, by level.
_COLORS = {"DEBUG": "36", "INFO": "32", "WARN": "33", "WARNING": "33", "ERROR": "31", "CRITICAL": "37;41"}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m pyzq.log", description="Shows log messages that a program publishes.")
    parser.add_argument("zmq_pub_url", help="the publisher's address")
    parser.add_argument("-t", "--topic", default="", help="show only messages whose topic begins with this")
    parser.add_argument("--timestamp", action="store_true", help="show the local time of arrival")
    parser.add_argument("--separator", default=" | ", help="what to print between topic and message")
    parser.add_argument("--dateformat", default="%Y-%d-%m %H:%M", help="format of the time, as for strftime")
    parser.add_argument("--align", action="store_true", help="let all messages begin in one column")
    parser.add_argument("--color", action="store_true", help="color by level")
    return parser.parse_args(argv)


def _colored(text: str, topic: str) -> str:
    for level, color in _COLORS.items():
        if level in topic.split("."):
            return f"\x1b[{color}m{text}\x1b[0m"
    return text


def main(argv: Sequence[str] | None = None) -> None:
    """Print messages until interrupted.

    Args:
        argv: the arguments; None is those of the program.

    Raises:
        ZMQError: the address is none.
    """
    args = _arguments(argv)
    width = 0
    with Context() as context, context.socket(SocketType.SUB) as socket:
        socket.connect(args.zmq_pub_url)
        socket.subscribe(args.topic)
        try:
            while True:
                topic, message = (part.decode("utf8", "replace") for part in socket.recv_multipart()[:2])
                width = max(width, len(topic)) if args.align else 0
                line = f"{topic.ljust(width)}{args.separator}{message.rstrip()}"
                if args.timestamp:
                    line = f"{datetime.now().strftime(args.dateformat)}{args.separator}{line}"
                print(_colored(line, topic) if args.color else line, flush=True)
        except KeyboardInterrupt:
            sys.exit(0)


if __name__ == "__main__":
    main()
