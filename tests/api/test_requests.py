"""What surrounds every request: what the log says of it."""

from __future__ import annotations

import pytest

from tests.api.conftest import Api


@pytest.mark.parametrize("path", ["/" + "%01" * 5_000, "/" + "x" * 15_000, "/%E2%80%A8%C2%85"])
async def test_a_path_fits_a_line_of_the_log_whatever_is_in_it(
    api: Api, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await api.http.get(path)).status_code == 404
    logged = [line for line in capsys.readouterr().out.splitlines() if "404" in line]
    assert len(logged) == 1
    assert len(logged[0]) < 600
    assert "\u2028" not in logged[0]
