"""The one place that looks at the clock."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present in UTC, to the millisecond, which is what MongoDB keeps."""
    present = datetime.now(UTC)
    return present.replace(microsecond=present.microsecond // 1000 * 1000)
