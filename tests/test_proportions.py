"""The intervals are those of the papers."""

from __future__ import annotations

import pytest

from cia.proportions import Share, difference_at_least

ONE_SIDED = 0.975
"""Both limits of a 95% interval hold with this each."""


@pytest.mark.parametrize(
    ("share", "limits"),
    [(Share(81, 263), (0.2553, 0.3662)), (Share(15, 148), (0.0624, 0.1605)), (Share(0, 20), (0.0, 0.1611))],
)
def test_one_share_has_wilsons_limits(share: Share, limits: tuple[float, float]) -> None:
    """Newcombe, Two-sided confidence intervals for the single proportion (Statistics in Medicine 17, 1998), table I."""
    assert share.limits(ONE_SIDED) == pytest.approx(limits, abs=5e-5)


@pytest.mark.parametrize(
    ("first", "second", "lower", "upper"),
    [
        (Share(56, 70), Share(48, 80), 0.0524, 0.3339),
        (Share(9, 10), Share(3, 10), 0.1705, 0.8090),
        (Share(5, 56), Share(0, 29), -0.0381, 0.1926),
        (Share(10, 10), Share(0, 10), 0.6075, 1.0),
    ],
)
def test_a_difference_has_newcombes_limits(first: Share, second: Share, lower: float, upper: float) -> None:
    """Newcombe 1998 on differences, table II, method 10."""
    assert difference_at_least(first, second, ONE_SIDED) == pytest.approx(lower, abs=5e-5)
    assert -difference_at_least(second, first, ONE_SIDED) == pytest.approx(upper, abs=5e-5)


def test_nothing_counted_says_nothing() -> None:
    assert Share(0, 0).limits(ONE_SIDED) == (0.0, 1.0)
    assert difference_at_least(Share(5, 5), Share(0, 0), ONE_SIDED) <= 0.0
