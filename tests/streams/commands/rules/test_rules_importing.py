"""A download of rules is taken in as it is, and nothing in it is believed."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path
from unittest.mock import patch

import pytest
from rule_files import GOOD, changed, write

from detectors.rules import load
from streams.commands.rules import importing
from streams.commands.rules.importing import NotImported, as_json, as_lines, import_rules
from streams.sources.known import CATALOG

WINDOWS = changed(
    id="00000000-0000-4000-8000-000000000001", logsource={"product": "windows"}, author="Synthetic Author"
)
EXPAND = changed(
    id="00000000-0000-4000-8000-000000000002",
    detection={"s": {"eventName|expand": "%names%"}, "condition": "s"},
)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """A folder like a published one: rules in folders, a licence, and what is no rule."""
    folder = tmp_path / "download"
    (folder / "rules" / "cloud").mkdir(parents=True)
    (folder / ".github").mkdir()
    write(folder / "rules" / "cloud", GOOD, name="good.yml")
    write(folder / "rules" / "cloud", EXPAND, name="placeholder.yml")
    write(folder / "rules", WINDOWS, name="windows.yml")
    write(folder / ".github", WINDOWS, name="workflow.yml")
    (folder / "rules" / "broken.yml").write_text("title: [\n")
    (folder / "LICENSE.Detection.Rules.md").write_text("Synthetic licence\n")
    (folder / "README.md").write_text("not a rule\n")
    return folder


def zipped(folder: Path, *more: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and ".github" not in file.parts:
                archive.write(file, file.relative_to(folder))
        for name, content in more:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_what_loads_is_copied_as_it_is(packed: bool, download: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    done = import_rules(zipped(download) if packed else download, target, CATALOG)
    files = {str(file.relative_to(target)) for file in target.rglob("*") if file.is_file()}
    assert files == {"rules/cloud/good.yml", "rules/windows.yml", "LICENSE.Detection.Rules.md"}
    for name in files:
        assert (target / name).read_bytes() == (download / name).read_bytes()
    assert {rule.author for rule in load([target]).rules} == {"Wardwatch", "Synthetic Author"}
    document = as_json(done, target)
    assert document["no_source_sends"] == {"product: windows": 1}
    assert {problem["path"] for problem in document["problems"]} == {"rules/broken.yml", "rules/cloud/placeholder.yml"}
    assert sum(document["will_not_run"].values()) == 2
    told = "\n".join(as_lines(done, target))
    assert "placeholders (expand) have no values here" in told
    assert str(download) not in str(document["problems"])


def test_reasons_are_counted_together_though_each_names_another_field(download: Path, tmp_path: Path) -> None:
    second = changed(id="00000000-0000-4000-8000-000000000003", detection={"s": {"x|expand": "%y%"}, "condition": "s"})
    write(download / "rules", second, name="second.yml")
    done = import_rules(download, tmp_path / "mine", CATALOG)
    assert max(as_json(done, tmp_path)["will_not_run"].values()) == 2


def test_nothing_is_overwritten_in_silence(download: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    import_rules(download, target, CATALOG)
    mine = target / "rules" / "cloud" / "good.yml"
    mine.write_text(mine.read_text() + "# tuned here\n")
    again = import_rules(download, target, CATALOG)
    assert again.kept == ["rules/cloud/good.yml"]
    assert again.copied == []
    assert "# tuned here" in mine.read_text()
    assert import_rules(download, target, CATALOG, replace=True).copied == ["rules/cloud/good.yml"]
    assert "# tuned here" not in mine.read_text()


def test_a_link_in_the_target_is_not_written_through(download: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine"
    (target / "rules" / "cloud").mkdir(parents=True)
    outside = tmp_path / "outside.yml"
    outside.write_text("mine\n")
    (target / "rules" / "cloud" / "good.yml").symlink_to(outside)
    done = import_rules(download, target, CATALOG, replace=True)
    assert "rules/cloud/good.yml" in done.kept
    assert outside.read_text() == "mine\n"


def test_a_link_in_the_download_is_not_followed(download: Path, tmp_path: Path) -> None:
    write(tmp_path, changed(id="00000000-0000-4000-8000-000000000009"), name="secret.yml")
    (download / "rules" / "link.yml").symlink_to(tmp_path / "secret.yml")
    done = import_rules(download, tmp_path / "mine", CATALOG)
    assert "rules/link.yml" not in done.copied


def test_only_rules_that_something_here_sends_events_for(download: Path, tmp_path: Path) -> None:
    done = import_rules(download, tmp_path / "mine", CATALOG, only_fitting=True)
    assert done.left_out == ["rules/windows.yml"]
    assert not (tmp_path / "mine" / "rules" / "windows.yml").exists()


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    "name",
    ["../out.yml", "/etc/out.yml", "a/../../out.yml", "..\\out.yml", "C:/out.yml", "a/b:stream.yml"],
)
def test_a_name_that_leads_out_of_the_archive_is_refused(name: str, download: Path, tmp_path: Path) -> None:
    archive = zipped(download, (name, b"title: x\n"))
    with pytest.raises(NotImported, match="leads out of it"):
        import_rules(archive, tmp_path / "mine", CATALOG)
    assert not (tmp_path / "mine").exists()
    assert not list(tmp_path.rglob("out.yml"))


def test_an_archive_with_a_link_is_refused(download: Path, tmp_path: Path) -> None:
    with pytest.raises(NotImported, match="holds a link"):
        import_rules(zipped(download, (link("a.yml"), b"/etc/passwd")), tmp_path / "mine", CATALOG)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused(download: Path, tmp_path: Path) -> None:
    with pytest.raises(NotImported, match="twice"):
        import_rules(zipped(download, ("rules/windows.yml", b"title: other\n")), tmp_path / "mine", CATALOG)


def test_an_archive_that_unpacks_to_too_much_ends_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(8):
            archive.writestr(f"{number}.yml", b"a" * 900_000)
    assert path.stat().st_size < 20_000
    with patch.object(importing, "BYTES", 5_000_000), pytest.raises(NotImported, match="unpacks to more than"):
        import_rules(path, tmp_path / "mine", CATALOG)
    with patch.object(importing, "FILES", 7), pytest.raises(NotImported, match="holds 8 files"):
        import_rules(path, tmp_path / "mine", CATALOG)


def test_one_file_that_is_too_large_costs_itself(download: Path, tmp_path: Path) -> None:
    done = import_rules(zipped(download, ("rules/large.yml", b"#" * 50_000_000)), tmp_path / "mine", CATALOG)
    assert {problem.path for problem in done.problems} >= {"rules/large.yml"}
    assert "rules/cloud/good.yml" in done.copied


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"text"])
def test_what_is_no_zip_is_said(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "download.zip"
    path.write_bytes(content)
    with pytest.raises(NotImported, match="is no zip that can be read"):
        import_rules(path, tmp_path / "mine", CATALOG)


def test_a_zip_cut_short_is_said(download: Path, tmp_path: Path) -> None:
    whole = zipped(download).read_bytes()
    buffer = io.BytesIO(whole)
    with zipfile.ZipFile(buffer) as archive:
        first = archive.infolist()[0]
    broken = bytearray(whole)
    broken[first.header_offset + 40 : first.header_offset + 60] = b"\xff" * 20
    path = tmp_path / "cut.zip"
    path.write_bytes(bytes(broken))
    with pytest.raises(NotImported):
        import_rules(path, tmp_path / "mine", CATALOG)
