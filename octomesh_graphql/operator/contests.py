"""What this process learned of a cluster that wants something else than is wished: so that it does not fight for ever.

Who wins is not decided here. A restart forgets it all, which costs a few applications.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from octomesh_graphql.operator.cluster import Object
from octomesh_graphql.operator.differing import Identity, Overruled, identity, overruled, wish_of
from octomesh_graphql.operator.planning import Application

FREE_TIMES: Final = 3
"""So often the same thing is put right at once: somebody tries something by hand, or a controller starts."""

FIRST_REST_SECONDS: Final = 2.0
"""After that it rests; doubled each time."""

LONGEST_REST_SECONDS: Final = 60.0
"""The longest rest: each application may be a rollout, and nobody should have to wait longer when the contest ends."""

FORGOTTEN_SECONDS: Final = 300.0
"""After so long without it, it begins anew."""

_Key = tuple[Identity, int, str | None, str]


@dataclass
class _Contest:
    """The same thing put right so often, and last when."""

    times: int
    last: float


@dataclass
class Contests:
    """Those about the objects of one CommunicationPool."""

    overruled: dict[Identity, Overruled] = field(default_factory=dict)
    """What the cluster did not take as it was wished."""
    _contests: dict[_Key, _Contest] = field(default_factory=dict)

    def applied(self, application: Application, answer: Object, now: float) -> Overruled | None:
        """It was; returns what the cluster made of it against the wish, if that is news."""
        self._count(_key(application), now)
        which, will = identity(application.object), overruled(application.object, answer)
        known = self.overruled.pop(which, None)
        if will is None:
            return None
        self.overruled[which] = will
        return will if will != known else None

    def rests(self, application: Application, now: float) -> bool:
        """Whether it was applied so often that it has to wait."""
        contest = self._contests.get(_key(application))
        if contest is None or contest.times < FREE_TIMES:
            return False
        rest = FIRST_REST_SECONDS * 2.0 ** min(contest.times - FREE_TIMES, 10)
        return now - contest.last < min(rest, LONGEST_REST_SECONDS)

    def told(self, application: Application, now: float) -> str | None:
        """What people should know of a contest about it; None while there is none."""
        contest = self._contests.get(_key(application))
        if contest is None or contest.times < FREE_TIMES or now - contest.last > FORGOTTEN_SECONDS:
            return None
        what = application.why.removeprefix("Mended: ") if application.mended else "it had to be applied anew."
        return f"Again and again, {what} It is put right more and more seldom; find out who does that."

    def _count(self, key: _Key, now: float) -> None:
        self._contests = {each: c for each, c in self._contests.items() if now - c.last <= FORGOTTEN_SECONDS}
        contest = self._contests.setdefault(key, _Contest(times=0, last=now))
        contest.times += 1
        contest.last = now


def _key(application: Application) -> _Key:
    return identity(application.object), application.generation, wish_of(application.object), application.why
