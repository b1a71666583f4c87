"""A config below another one."""

from ahs_seg.config import Config


class Leaf(Config):
    """A config below another one."""

    steps: int = 3
    rates: tuple[float, ...] = (0.1,)


class Root(Config):
    """A config with one below it."""

    name: str = "x"
    leaf: Leaf = Leaf()
