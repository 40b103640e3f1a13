"""Which directories are watched, and what a change of the files beside the manifest does."""

import shutil
from pathlib import Path

import pytest

from obelisk_daemon.deployment import watching
from obelisk_daemon.deployment.settling import HOLD, QUIET
from obelisk_daemon.deployment.watching import names_in, paths_in
from tests.integration.deployment.saving import as_kubernetes_does, link_as_kubernetes_does
from tests.integration.deployment.scene import ACTIVE, INVALID, VALID, A, Scene, Watches

pytestmark = pytest.mark.anyio


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def watches(monkeypatch: pytest.MonkeyPatch) -> Watches:
    fake = Watches()
    monkeypatch.setattr(watching, "awatch", fake)
    return fake


# Files beside the manifest


async def test_a_component_that_changes_is_told_and_a_refused_manifest_is_proposed_again(scene: Scene) -> None:
    async with scene.watched():
        scene.file.write_bytes(INVALID)
        await scene.settles(INVALID)
        (scene.directory / "bin" / "b.wasm").write_bytes(b"other")
        await scene.news.until(lambda: bool(scene.proposer.changed))
        await scene.settles(INVALID)
    assert set(scene.proposer.changed) == {frozenset({str(scene.directory / "bin" / "b.wasm")})}
    assert scene.proposer.proposed == [INVALID, INVALID]


async def test_a_component_that_changes_does_not_have_an_accepted_manifest_proposed(scene: Scene) -> None:
    async with scene.watched():
        (scene.directory / "a.wasm").unlink()
        await scene.news.until(lambda: scene.proposer.changed == [frozenset({str(scene.directory / "a.wasm")})])
        await scene.passes(HOLD)
    assert scene.proposer.proposed == []


async def test_a_component_that_a_refused_manifest_lacks_is_awaited(scene: Scene) -> None:
    refused = ACTIVE.replace(b"a.wasm", b"lib/new.wasm").replace(b"1s", b"1 s")
    async with scene.watched():
        scene.file.write_bytes(refused)
        await scene.settles(refused)
        (scene.directory / "lib").mkdir()
        (scene.directory / "lib" / "new.wasm").touch()
        await scene.news.until(lambda: bool(scene.proposer.changed))
        await scene.settles(refused)
    assert scene.proposer.proposed == [refused, refused]


async def test_a_component_that_appears_while_its_manifest_is_refused_is_noticed(scene: Scene) -> None:
    refused = ACTIVE.replace(b"a.wasm", b"new.wasm").replace(b"1s", b"1 s")
    scene.file.write_bytes(refused)
    await scene.watch.look()
    scene.proposer.before = (scene.directory / "new.wasm").touch
    await scene.looks_after(QUIET)
    await scene.watch.look()
    assert scene.proposer.changed == [frozenset({str(scene.directory / "new.wasm")})]
    await scene.looks_after(QUIET)
    assert scene.proposer.proposed == [refused, refused]


async def test_a_component_that_changes_while_the_manifest_is_away_is_noticed(scene: Scene) -> None:
    new = ACTIVE.replace(b"a.wasm", b"new.wasm")
    scene.file.write_bytes(new)
    await scene.watch.look()
    scene.file.unlink()
    await scene.watch.look()
    (scene.directory / "new.wasm").touch()
    scene.file.write_bytes(new)
    await scene.watch.look()
    assert scene.proposer.changed == [frozenset({str(scene.directory / "new.wasm")})]


async def test_a_component_of_the_same_size_and_time_in_another_file_has_changed(scene: Scene) -> None:
    file = scene.directory / "a.wasm"
    await scene.watch.look()
    shutil.copy2(file, file.with_suffix(".new"))
    file.with_suffix(".new").replace(file)
    await scene.watch.look()
    assert scene.proposer.changed == [frozenset({str(file)})]


def test_the_names_and_files_of_a_manifest_are_those_of_its_components_and_stubs() -> None:
    stubs = '[[stub]]\nname = "s"\nwit = "s.wit"\n[[stub]]\nffqn = "a:b/c.d"\n[[stub]]\nname = "t"\npath = "t.wasm"\n'
    content, file = (A + stubs).encode(), Path("/etc/obelisk.toml")
    assert names_in(content, file) == {"a", "s", "a:b/c.d", "t"}
    assert paths_in(content, file) == {"/etc/a.wasm", "/etc/s.wit", "/etc/t.wasm"}


def test_what_is_no_toml_has_no_names_and_no_files() -> None:
    assert names_in(INVALID, Path("/etc/obelisk.toml")) is None
    assert paths_in(INVALID, Path("/etc/obelisk.toml")) == frozenset()


# What is watched


async def test_every_directory_of_a_chain_of_links_is_watched_and_the_new_ones_after_a_swap(
    scene: Scene, watches: Watches
) -> None:
    link_as_kubernetes_does(scene)
    expected = {str(scene.directory), str(scene.directory / "bin")}
    async with scene.watched():
        await as_kubernetes_does(scene, VALID)
        scene.watch.poke()
        await scene.news.until(lambda: len(watches.directories) == 2)
        version = (scene.directory / "..data").readlink()
    assert [len(directories) for directories in watches.directories] == [3, 3]
    assert watches.directories[1] == expected | {str(scene.directory / version)}


async def test_links_in_the_middle_and_up_and_absolute_ones_are_followed(tmp_path: Path, watches: Watches) -> None:
    scene = Scene(tmp_path / "real")
    (tmp_path / "absolute").symlink_to(scene.directory)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "up").symlink_to("../absolute")
    scene.watch_otherwise(tmp_path / "bin" / "up" / "obelisk.toml")
    async with scene.watched():
        pass
    watched = {tmp_path / "bin", tmp_path, scene.directory, scene.directory / "bin"}
    assert watches.directories == [set(map(str, watched))]


async def test_events_of_other_files_in_a_watched_directory_do_not_matter(scene: Scene, watches: Watches) -> None:
    async with scene.watched():
        assert watches.matters(scene.file)
        assert watches.matters(scene.directory)
        assert watches.matters(scene.directory / "bin" / "b.wasm")
        assert not watches.matters(scene.directory / "obelisk.db-wal")


async def test_directories_below_are_not_watched_and_the_watch_never_times_out(scene: Scene, watches: Watches) -> None:
    async with scene.watched():
        assert watches.options["recursive"] is False
        assert watches.options["rust_timeout"] == 0


async def test_a_directory_that_is_a_file_for_a_while_is_watched_for_from_above(scene: Scene, watches: Watches) -> None:
    shutil.rmtree(scene.directory)
    scene.directory.touch()
    async with scene.watched():
        assert watches.directories == [{str(scene.directory.parent)}]
        assert watches.matters(scene.directory)
