"""What a tenant may be called."""

from __future__ import annotations

import pytest

from atom_backfill.access.tenants import checked_name
from atom_backfill.errors import UsageError


@pytest.mark.parametrize("name", ["local", "Müller & Söhne", "株式会社", "a", "x" * 64, "👩‍🚀".replace("\u200d", "")])
def test_a_fit_name_is_kept(name: str) -> None:
    assert checked_name(name) == name


def test_a_name_is_trimmed_and_in_one_normal_form() -> None:
    assert checked_name("  Mu\u0308ller ") == "Müller"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "x" * 65,
        "two\nlines",
        "bell\x07",
        "nul\x00",
        "right\u202eleft",
        "zero\u200bwidth",
        "half\ud800",
        "li\u2028ne",
        "31c06fc4-db22-4740-83ea-48ac14f25810",
    ],
)
def test_an_unfit_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        checked_name(name)
