"""Plain values as JSON, and a symmetric channel on which a program and its tests ask each other.

Only values of plain types cross, each rebuilt from text on the other side; anything else crosses as a reference,
whose operations are asked for. A comparison on one side so never runs code of the other.
"""

import datetime
import json
import os
import struct
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

_BIG = 2**63
_LENGTH = struct.Struct(">I")


class Gone(BaseException):
    """The other side has ended. No ``except Exception`` of a test catches it."""


class TooMuch(BaseException):
    """The other side sends more than is allowed."""


def _pairs(codec: "Codec", value: dict) -> list:
    return [[codec.encode(key), codec.encode(item)] for key, item in value.items()]


def _items(codec: "Codec", value: object) -> list:
    return [codec.encode(item) for item in value]


def _mapping(kind: Callable) -> Callable:
    return lambda codec, content: kind({codec.decode(key): codec.decode(item) for key, item in content})


def _sequence(kind: Callable) -> Callable:
    return lambda codec, content: kind([codec.decode(item) for item in content])


def _texts(write: Callable, read: Callable) -> tuple[Callable, Callable]:
    return (lambda _codec, value: write(value)), (lambda _codec, content: read(content))


_KINDS: dict[str, tuple[type, Callable, Callable]] = {  # subclasses before their bases
    "int": (int, *_texts(hex, lambda content: int(content, 16))),
    "complex": (complex, *_texts(lambda value: [value.real, value.imag], lambda content: complex(*content))),
    "counter": (Counter, _pairs, _mapping(Counter)),
    "ordered": (OrderedDict, _pairs, lambda codec, content: OrderedDict(_mapping(dict)(codec, content))),
    "dict": (dict, _pairs, _mapping(dict)),
    "list": (list, _items, _sequence(list)),
    "tuple": (tuple, _items, _sequence(tuple)),
    "set": (set, _items, _sequence(set)),
    "frozenset": (frozenset, _items, _sequence(frozenset)),
    "deque": (deque, _items, _sequence(deque)),
    "bytes": (bytes, *_texts(bytes.hex, bytes.fromhex)),
    "bytearray": (bytearray, *_texts(bytearray.hex, bytearray.fromhex)),
    "range": (range, *_texts(lambda value: [value.start, value.stop, value.step], lambda content: range(*content))),
    "decimal": (Decimal, *_texts(str, Decimal)),
    "fraction": (Fraction, *_texts(str, Fraction)),
    "datetime": (datetime.datetime, *_texts(datetime.datetime.isoformat, datetime.datetime.fromisoformat)),
    "date": (datetime.date, *_texts(datetime.date.isoformat, datetime.date.fromisoformat)),
    "time": (datetime.time, *_texts(datetime.time.isoformat, datetime.time.fromisoformat)),
    "timedelta": (
        datetime.timedelta,
        *_texts(
            lambda value: [value.days, value.seconds, value.microseconds],
            lambda content: datetime.timedelta(*content),
        ),
    ),
}
CHANGEABLE = (list, dict, set, bytearray, deque)


class Codec:
    """Values to JSON and back.

    Args:
        refer: Number of an object of another type that stays on this side.
        resolve: What stands for the other side's reference of a number.
    """

    def __init__(self, refer: Callable[[object], list], resolve: Callable[[list], object]):
        self.refer, self.resolve = refer, resolve

    def encode(self, value: object) -> object:
        """JSON of a value: plain, or a tag and its content."""
        kind = type(value)
        if value is None or kind in (bool, float, str) or (kind is int and -_BIG < value < _BIG):
            return value
        for plain, copy in ((float, float.__pos__), (str, str.__str__)):
            if isinstance(value, plain):
                return copy(value)
        for tag, (base, write, _) in _KINDS.items():
            if isinstance(value, base):
                return [tag, write(self, value)]
        return self.refer(value)

    def decode(self, content: object) -> object:
        """The value of a JSON.

        Raises:
            ValueError, TypeError, KeyError and others: no value has this JSON.
        """
        if not isinstance(content, list):
            return content
        tag, inner = content
        if tag in ("own", "other"):
            return self.resolve(content)
        return _KINDS[tag][2](self, inner)


def no_reference(value: object) -> list:
    """Refuse values that are not plain.

    Raises:
        TypeError: always.
    """
    raise TypeError(f"a value of type {type(value).__name__} is not plain")


def read_exactly(descriptor: int, size: int, read: Callable[[int, int], bytes] = os.read) -> bytes:
    """Bytes from a pipe.

    Raises:
        Gone: it ends before.
    """
    parts = []
    while size:
        try:
            part = read(descriptor, min(size, 2**20))
        except OSError:
            part = b""
        if not part:
            raise Gone
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class Channel:
    """Messages of JSON over a descriptor.

    Args:
        descriptor: One end of a socket pair.
        longest: Bytes of a message that is received.
    """

    def __init__(self, descriptor: int, longest: int):
        self.descriptor, self.longest = descriptor, longest

    def send(self, message: object) -> None:
        """Send a message.

        Raises:
            Gone: the other side has ended.
        """
        content = json.dumps(message).encode()
        content = _LENGTH.pack(len(content)) + content
        try:
            while content:
                content = content[os.write(self.descriptor, content) :]
        except OSError:
            raise Gone from None

    def receive(self) -> object:
        """The next message.

        Raises:
            Gone: the other side has ended, or sends what is no JSON.
            TooMuch: the message is too long.
        """
        (size,) = _LENGTH.unpack(read_exactly(self.descriptor, _LENGTH.size))
        if size > self.longest:
            raise TooMuch
        content = read_exactly(self.descriptor, size)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise Gone from None
