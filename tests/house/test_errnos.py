"""Error numbers come from the C library: Linux's are not those of other systems."""

import errno
import re
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[2] / "src"
NUMBERS = "|".join(str(number) for number in sorted(errno.errorcode) if number > 2)
# A number where an error stands: returned or passed negated, compared with or stored under a name of errors, made an
# exception of, or told to a monitor.
LITERALS = re.compile(
    rf"""\b(?:return|fail|and|or|else|in)\b[ (]*-(?:{NUMBERS})\b
    | \b(?:rc|err|error|errno|code|reason)\b\s*(?:=|==|!=)\s*-?(?:{NUMBERS})\b
    | \b(?:make_error|raise_errno|ZMQError|fail|fail_text|session_failed)\([^()]*?-?\b(?:{NUMBERS})\b
    | \bmonitor_emit\([^,]*,[^,]*,\s*-?(?:{NUMBERS})\b""",
    re.VERBOSE,
)


def code(path):
    """Without what is said in comments and strings."""
    text = re.sub(r'("""|\'\'\').*?\1', "", path.read_text(), flags=re.DOTALL)
    return re.sub(r'f?"[^"\n]*"|#[^\n]*', "", text)


@pytest.mark.parametrize(
    "line",
    [
        "return -12",
        "rc = -71      # EPROTO",
        "fail(-93, why)",
        "monitor_emit(s, EVENT, 115, e.name)",
        "x if error == -24 else y",
        "raise make_error(22)",
    ],
)
def test_the_rule_sees(line):
    assert LITERALS.search(line)


def test_no_literal_error_numbers():
    found = [
        f"{path.relative_to(CORE)}: {match.group()!r}"
        for path in sorted(CORE.rglob("*.py*"))
        if path.suffix in (".pyx", ".pxd", ".py") and not path.name.startswith("selftest_")
        for match in LITERALS.finditer(code(path))
    ]
    assert not found, found
