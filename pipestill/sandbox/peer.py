"""One side of the channel between a program and its tests: it asks the other side, and answers meanwhile."""

import builtins
from collections.abc import Callable

from pipestill.sandbox.wire import CHANGEABLE, Channel, Codec, Gone

_UNSEEN = object()


class Exited(BaseException):
    """The other side called ``sys.exit``. No ``except Exception`` of a test catches it."""


def described(error: BaseException) -> list:
    """Class, the nearest built-in class and message of an exception."""
    for base in type(error).__mro__:
        if getattr(builtins, base.__name__, None) is base:
            break
    try:
        message = str(error)
    except BaseException:  # the program may define it
        message = ""
    return [type(error).__name__, base.__name__, message[:2000]]


def rebuilt(name: str, base: str, message: str) -> BaseException:
    """The exception of a description, marked as one of the other side."""
    kind = getattr(builtins, base, None)
    if not (isinstance(kind, type) and issubclass(kind, BaseException)) or issubclass(kind, SystemExit):
        kind = Exception
    try:
        error = (kind if name == kind.__name__ else type(name, (kind,), {}))(message)
    except TypeError:  # its constructor wants more
        error = type(name, (Exception,), {})(message)
    error.of_other_side = True
    return error


class Reference:
    """An object of the other side: what is done with it is asked for; it equals only itself."""

    def __init__(self, peer: "Peer", number: int):
        vars(self)["_peer"], vars(self)["_number"] = peer, number

    def __call__(self, *arguments, **options):
        """Call it."""
        return self._peer.call(self, arguments, options)

    def __getattr__(self, name):
        """An attribute."""
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self._peer.ask("getattr", self, name)

    def __setattr__(self, name, value):
        """Set an attribute."""
        self._peer.ask("setattr", self, name, value)

    def __getitem__(self, key):
        """An item."""
        return self._peer.ask("getitem", self, key)

    def __setitem__(self, key, value):
        """Set an item."""
        self._peer.ask("setitem", self, key, value)

    def __contains__(self, value):
        """Whether it contains a value."""
        return bool(self._peer.ask("contains", self, value))

    def __iter__(self):
        """Its iterator."""
        return self._peer.ask("iter", self)

    def __next__(self):
        """The next item."""
        return self._peer.ask("next", self)

    def __len__(self):
        """Its length."""
        return self._peer.ask("len", self)

    def __bool__(self):
        """Its truth."""
        return bool(self._peer.ask("bool", self))

    def __str__(self):
        """Its text."""
        return str(self._peer.ask("str", self))

    def __repr__(self):
        """How it shows itself."""
        return str(self._peer.ask("repr", self))


class Peer:
    """One side.

    Args:
        channel: The channel to the other side.
        operations: What the other side may ask for, besides calls of what it was given.
    """

    def __init__(self, channel: Channel, operations: dict[str, Callable]):
        self.channel, self.operations = channel, operations
        self.codec = Codec(self._refer, self._resolve)
        self._objects: list[object] = []
        self._numbers: dict[int, int] = {}
        self._references: dict[int, Reference] = {}
        self.gone = self.exited = False

    def _refer(self, value: object) -> list:
        if type(value) is Reference and value._peer is self:
            return ["own", value._number]
        if id(value) not in self._numbers:
            self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
        return ["other", self._numbers[id(value)]]

    def _resolve(self, content: list) -> object:
        side, number = content
        if type(number) is not int or number < 0:
            raise ValueError("no reference")
        if side == "own":
            return self._objects[number]
        return self._references.setdefault(number, Reference(self, number))

    def ask(self, operation: str, *values: object) -> object:
        """The other side's answer.

        Raises:
            Exception: what it raised.
            Gone: it has ended.
            Exited: it called ``sys.exit``.
        """
        return self._request(operation, [self.codec.encode(value) for value in values])[0]

    def call(self, target: Reference, arguments: tuple, options: dict) -> object:
        """Call an object of the other side; containers that it changes in place are changed here too."""
        values = [self.codec.encode(value) for value in (target, list(arguments), options)]
        answer, *changes = self._request("call", values)
        for number, value in changes[0] if changes else ():
            mine = arguments[number]
            if type(mine) is type(value) and isinstance(mine, CHANGEABLE):
                mine.clear()
                (mine.update if isinstance(mine, (dict, set)) else mine.extend)(value)
        return answer

    def _request(self, operation: str, values: list) -> list:
        if self.gone:
            raise Gone
        try:
            self.channel.send(["ask", operation, values])
            while True:
                kind, *content = self.channel.receive()
                if kind == "ask":
                    self._serve(*content)
                elif kind == "value":
                    return [self.codec.decode(value) for value in content]
                elif kind == "raised":
                    name, base, message = map(str, content)
                    break
                else:
                    raise ValueError(kind)
        except Gone:
            self.gone = True
            raise
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError):
            self.gone = True  # what it sends is no answer
            raise Gone from None
        if base == "SystemExit":
            self.exited = True
            raise Exited
        raise rebuilt(name if name.isidentifier() else "Exception", base, message)

    def _serve(self, operation: str, contents: list) -> None:
        try:
            if operation == "call":
                target, arguments, options = (self.codec.decode(content) for content in contents)
                result = [self.codec.encode(target(*arguments, **options))]
                changes = [
                    [number, after]
                    for number, (value, before) in enumerate(zip(arguments, contents[1][1], strict=True))
                    if isinstance(value, CHANGEABLE) and (after := self.codec.encode(value)) != before
                ]
                result += [["list", [["tuple", change] for change in changes]]] if changes else []
            else:
                result = [self.codec.encode(self.operations[operation](*map(self.codec.decode, contents)))]
        except (Gone, Exited):
            raise
        except BaseException as error:
            self.channel.send(["raised", *described(error)])
            return
        self.channel.send(["value", *result])

    def serve(self) -> None:
        """Answer until the other side has ended."""
        while True:
            kind, *content = self.channel.receive()
            if kind == "ask":
                self._serve(*content)
