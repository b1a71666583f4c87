"""Shapes written in signatures are checked in every test."""

import gc
import importlib
import os
import sys
import tempfile

# The hook below rewrites every module. Keep the result, whatever the environment says: only the first process pays.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Nothing is written into the cache of the user: text embeddings, downloads. Processes of the tests inherit it.
_CACHE = tempfile.TemporaryDirectory(prefix="ahs-seg-tests-")
os.environ["XDG_CACHE_HOME"] = _CACHE.name

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny networks: a second thread only waits

# A collector would go through the million objects of the imported packages again and again, and find nothing.
gc.disable()

from hypothesis import settings  # noqa: E402

from tests.support.forks import kill_what_is_left  # noqa: E402
from tests.support.shape_checks import check_package  # noqa: E402

check_package("ahs_seg")

# A case is not wrong because the machine is busy.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

pytest_plugins = ["tests.support.hub_fixtures", "tests.support.thread_fixtures"]


def pytest_collection_finish() -> None:
    """Import what must be there before a test, and let garbage be looked for among the objects of tests only."""
    # The logger of lightning keeps the stderr that it finds when it is imported; let that not be the one of a test.
    importlib.import_module("lightning_fabric")
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    """Let nothing keep this process from its end."""
    kill_what_is_left()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A long text is no name of a test; one that holds the time of day would differ between the processes of a run."""
    return argname if isinstance(val, str | bytes) and len(val) > 60 else None
