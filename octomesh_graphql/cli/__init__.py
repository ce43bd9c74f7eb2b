"""The `octomesh` command: what its words and flags mean, and how programs start and stop.

Nothing heavy is imported before it is known which command is meant, so that `octomesh --version` and a mistyped flag
are answered at once.
"""

from typing import Final

FAILED: Final = 1
"""Exit code of what could not be done."""

MISUSED: Final = 2
"""Exit code of what was asked for in the wrong way: by flags, or by settings."""
