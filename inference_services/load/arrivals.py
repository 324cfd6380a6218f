"""When requests arrive: at random, at a rate that stays, climbs stairs or ramps."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cia.errors import InputError

STAGE = re.compile(r"(\d+(?:\.\d+)?)(?:\.\.(\d+(?:\.\d+)?))?")


@dataclass(frozen=True, slots=True)
class Stage:
    """Requests a second at the beginning and at the end of a span of ``seconds``; evenly more or fewer in between."""

    begin: float
    end: float
    seconds: float

    @property
    def expected(self) -> float:
        """How many requests arrive in it on average."""
        return (self.begin + self.end) / 2 * self.seconds

    def moment_of(self, count: float) -> float:
        """Return after how many seconds ``count`` requests are expected to have arrived; the stage expects at least as many."""
        # begin * t + slope / 2 * t**2 = count, in the form that does not cancel, and that a slope of 0 does not break.
        slope = (self.end - self.begin) / self.seconds
        root = math.sqrt(max(0.0, self.begin**2 + 2 * slope * count))
        return 2 * count / (self.begin + root)


def parse_stages(text: str, seconds: float) -> list[Stage]:
    """Return the stages that ``text`` names, each ``seconds`` long: ``4``, the stairs ``1,2,4``, the ramp ``1..8``, or a mixture.

    Raises InputError for anything else.
    """
    stages = []
    for part in text.split(","):
        found = STAGE.fullmatch(part.strip())
        if found is None:
            raise InputError(f"{text!r} is no rate; write requests a second: 4, stairs such as 1,2,4, or a ramp such as 1..8")
        begin = float(found.group(1))
        stage = Stage(begin, float(found.group(2) or begin), seconds)
        if stage.expected == 0:
            raise InputError(f"{part.strip()!r} in {text!r} is a rate of nothing; give requests a second above 0")
        stages.append(stage)
    return stages


def arrivals(stages: Sequence[Stage], seed: int) -> Iterator[float]:
    """Yield the moments of a Poisson process with the rate of ``stages``, in seconds from its beginning.

    One of rate 1 is drawn and its clock is bent to the rate wanted (time rescaling; Brown et al. 2002), so that ramps are exact.
    """
    chance = random.Random(seed)
    begun = passed = 0.0
    drawn = chance.expovariate(1.0)
    for stage in stages:
        while drawn - passed < stage.expected:
            yield begun + stage.moment_of(drawn - passed)
            drawn += chance.expovariate(1.0)
        passed += stage.expected
        begun += stage.seconds
