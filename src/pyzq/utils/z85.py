"""Z85, the text form of binary keys (RFC 32): every 4 bytes become 5 printable ASCII characters."""

from __future__ import annotations

from struct import Struct

_ALPHABET = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_VALUES = {char: value for value, char in enumerate(_ALPHABET)}
_BIG = Struct(">I")


def encode(rawbytes: bytes) -> bytes:
    """Bytes to Z85.

    Args:
        rawbytes: any bytes-like object of a length that is a multiple of 4.

    Returns:
        five characters for every four bytes.

    Raises:
        ValueError: the length is not a multiple of 4.
    """
    data = bytes(memoryview(rawbytes))
    if len(data) % 4:
        raise ValueError(f"length must be multiple of 4, not {len(data)}")
    text = bytearray()
    for (value,) in _BIG.iter_unpack(data):
        for power in (52200625, 614125, 7225, 85, 1):
            text.append(_ALPHABET[value // power % 85])
    return bytes(text)


def decode(z85bytes: bytes | str) -> bytes:
    """Z85 to bytes.

    Args:
        z85bytes: text of a length that is a multiple of 5, as bytes or str.

    Returns:
        four bytes for every five characters.

    Raises:
        ValueError: the length is not a multiple of 5, a character is outside the alphabet, or five characters stand
            for more than 32 bits.
    """
    text = z85bytes.encode("ascii") if isinstance(z85bytes, str) else bytes(memoryview(z85bytes))
    if len(text) % 5:
        raise ValueError(f"Z85 length must be multiple of 5, not {len(text)}")
    data = bytearray()
    for start in range(0, len(text), 5):
        value = 0
        for char in text[start : start + 5]:
            digit = _VALUES.get(char)
            if digit is None:
                raise ValueError(f"not a Z85 character: {chr(char)!r}")
            value = value * 85 + digit
        if value > 0xFFFFFFFF:
            raise ValueError(f"not Z85, more than 32 bits: {text[start : start + 5]!r}")
        data += _BIG.pack(value)
    return bytes(data)


__all__ = ["decode", "encode"]
