"""Snapshots that hold whatever the database is: each is there once, without the name of one."""

import re

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.amber import AmberSnapshotExtension
from syrupy.location import PyTestLocation
from syrupy.types import SnapshotIndex

_KIND = re.compile(r"\[(?:sqlite|postgresql)\]|(?<=\[)(?:sqlite|postgresql)-|-(?:sqlite|postgresql)(?=\])")


class _SameOnEveryStore(AmberSnapshotExtension):
    @classmethod
    def get_snapshot_name(cls, *, test_location: PyTestLocation, index: SnapshotIndex = 0) -> str:
        return _KIND.sub("", super().get_snapshot_name(test_location=test_location, index=index))


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(_SameOnEveryStore)
