"""The text of errors in the TOML itself. Only the first can be told: what follows it can't be trusted."""

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.golden.manifest.conftest import Explain


@pytest.mark.parametrize(
    "text",
    [
        "[executor]\nlease = 15s\n",
        "[executor]\nlease = fast\n",
        "[executor]\nlease = \n",
        "[executor\nlabels = []\n",
        "[executor]\nlabels = [\n  'eu',\n  'gpu'\n",
        "[executor]\nlabels = ['eu' 'gpu']\n",
        "[daemon]\nlog = { format = 'json', }\n",
        "[daemon]\nlog = { format = 'json'\n",
        "[daemon]\nlog = { level = 'info', level = 'debug' }\n",
        '[[activity]]\nname = "one\npath = "a.wasm"\n',
        '[[activity]]\npath = "C:\\wasm"\n',
        "[[activity]]\nname = 'one'\npath = 'a.wasm'\nname = 'two'\n",
        "[daemon]\n\n[executor]\n\n[daemon]\n",
        "[executor]\nlabels\n",
        "? what\n",
        "labels = '''\nnever closed",
        "a = " + "[" * 5000,
    ],
    ids=[
        "a duration without quotes",
        "text without quotes",
        "no value",
        "an open header",
        "an open list",
        "no comma",
        "a comma too many",
        "an open inline table",
        "a key twice in an inline table",
        "an open string",
        "a backslash",
        "a key twice",
        "a table twice",
        "a key alone",
        "no statement",
        "an open long string",
        "too deep",
    ],
)
def test_a_syntax_error_shows_its_place_and_a_way_out(text: str, explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(text) == snapshot
