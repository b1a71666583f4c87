"""What a user should know about a class list, each said once."""

from __future__ import annotations

import logging
from functools import lru_cache

logger = logging.getLogger(__name__)


@lru_cache(maxsize=1000)
def notice(text: str) -> None:
    """Log a warning, unless it was logged before; `notice.cache_clear()` forgets all of them."""
    logger.warning("%s", text)
