"""Protocols that are checked at run time by the attributes of an object, wherever they come from."""

from __future__ import annotations

from abc import ABCMeta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    _ProtocolType = ABCMeta
else:
    _ProtocolType = type(Protocol)


class ByAttribute(_ProtocolType):
    """Metaclass of protocols that an object fulfils which has their members in any way.

    From Python 3.12 on, `isinstance` does not see what `__getattr__` gives, as in files of `tempfile` and `werkzeug`.
    """

    def __instancecheck__(self, instance: object) -> bool:
        members: frozenset[str] = getattr(self, "__protocol_attrs__", frozenset())
        return super().__instancecheck__(instance) or bool(members and all(hasattr(instance, name) for name in members))
