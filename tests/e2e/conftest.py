"""What the tests of the whole product share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_home import Home, a_read_home


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home in which local mail has been read; tests leave no job at work in it."""
    with a_read_home(tmp_path_factory.mktemp("export")) as home:
        yield home
