"""Which attributes an object takes: those its class declares, and options by name."""

from __future__ import annotations

from pyzq.constants import SocketOption

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def declares(cls: type, name: str) -> bool:
    """Whether instances of a class may have this attribute: the class has it, or announces it by an annotation."""
    if hasattr(cls, name):
        return True
    for base in cls.__mro__:
        try:
            if name in base.__annotations__:
                return True
        except (AttributeError, NameError):  # a built-in class; an annotation that cannot be evaluated yet
            continue
    return False


class AttributeSetter:
    """Attributes in any case for the options of a class.

    A subclass says with `_get_attr_opt(name, option)` and `_set_attr_opt(name, option, value)` what reading and
    writing an option means, by default `get` and `set`. Other attributes can be set only when the class declares them.
    """

    def __setattr__(self, key: str, value: Any) -> None:
        if declares(type(self), key):
            object.__setattr__(self, key, value)
            return
        name = key.upper()
        self._set_attr_opt(name, self._option_number(name), value)

    def __getattr__(self, key: str) -> Any:
        name = key.upper()
        return self._get_attr_opt(name, self._option_number(name))

    def _option_number(self, name: str) -> int:
        option = SocketOption.__members__.get(name)
        if option is None:
            raise AttributeError(f"{type(self).__name__} has no such option: {name}")
        return option

    def _get_attr_opt(self, name: str, opt: int) -> Any:
        return self.get(opt)

    def _set_attr_opt(self, name: str, opt: int, value: Any) -> None:
        self.set(opt, value)
