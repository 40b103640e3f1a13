"""The documentation has the metrics that there are."""

from pathlib import Path

from obelisk_daemon.metrics.__main__ import table

LIST = (Path(__file__).resolve().parents[3] / "monitoring/README.md").read_text()


def test_the_list_is_what_the_daemon_has() -> None:
    """Renew it with `python -m obelisk_daemon.metrics`."""
    assert [line for line in LIST.splitlines() if line.startswith("|")] == list(table())
