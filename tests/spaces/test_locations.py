"""Keys in a storage's URI: refused in a file, left out of an old journal, never printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from analysis.record.folder import RunFolder, experiment_of
from search.cli.main import main
from spaces.locations import key_problem, without_secrets
from tests.support import examples

FREE = [
    "/folder",
    "kept/here",
    "file:///folder",
    "s3://bucket/path",
    "s3://bucket/path?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:9000",
    "s3://bucket/a@b",
    "s3://bucket/a:b@c",
    "gs://anonymous@bucket/path",
    "hdfs://user@host:8020/path",
    "hdfs://nn:8020/data/a@b",
    "hdfs://user@nn:8020/data/a@b",
    "abfs://container@account.dfs.core.windows.net/path",
]
HELD = {
    "s3://KEY:HIDDEN@bucket/path": "s3://bucket/path",
    "s3://KEY:HID/DEN@bucket/path": "s3://bucket/path",
    "s3://KEY:HID?DEN@bucket/path?x=HIDDEN": "s3://bucket/path",
    "s3://HIDDEN@bucket": "s3://bucket",
    "s3://KEY%3AHIDDEN@bucket": "s3://bucket",
    "s3://KEY:HIDDEN@bucket/x?region=e&scheme=http": "s3://bucket/x?region=e&scheme=http",
    "s3://bucket/x?secret_key=HIDDEN&region=e": "s3://bucket/x?region=e",
    "s3://bucket/x?endpoint_override=KEY:HIDDEN@host": "s3://bucket/x",
    "gs://HIDDEN@bucket": "gs://bucket",
    "hdfs://user:HIDDEN@host:8020/path": "hdfs://host:8020/path",
    "hdfs://user:8020@HIDDEN@host/path": "hdfs://host/path",
    "hdfs://user:8020HID/DEN@host/path": "hdfs://host/path",
    "s3://KEY:8020/HIDDEN@bucket/path": "s3://bucket/path",
    "abfs://account:HIDDEN@container/path": "abfs://container/path",
    "abfs://c@a.net/path?client_secret=HIDDEN&client_id=me": "abfs://c@a.net/path?client_id=me",
    "s3://bucket?sig=HIDDEN": "s3://bucket",
}


COMMANDS = [["status"], ["best"], ["report", "--format", "md"], ["replay"]]


@pytest.mark.parametrize("location", FREE)
def test_what_holds_no_key_stays_as_it_is(location: str) -> None:
    assert key_problem(location) is None
    assert without_secrets(location) == location


@pytest.mark.parametrize("location", HELD)
def test_a_key_is_refused_and_not_shown(location: str) -> None:
    told = key_problem(location)
    assert told is not None
    assert "HIDDEN" not in told
    assert "AWS_ACCESS_KEY_ID" in told
    assert without_secrets(location) == HELD[location]
    assert key_problem(HELD[location]) is None


@pytest.mark.parametrize("location", HELD)
def test_no_search_begins_with_a_key_and_nothing_is_written(
    location: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file.yaml"
    plain = examples.experiment().plain()
    file.write_text(yaml.safe_dump(plain))
    before = sorted(tmp_path.rglob("*"))
    arguments = ["--run", str(tmp_path / "run"), "--set", f"storage={json.dumps(location)}"]
    assert main(["search", str(file), *arguments]) == 2
    told = capsys.readouterr().err
    assert "storage: " in told
    assert "HIDDEN" not in told
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.edits_journals
@pytest.mark.filterwarnings("default")
def test_an_old_journal_with_keys_opens_and_its_keys_are_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coordinator = examples.coordinator(tmp_path)
    examples.run_all(coordinator)
    coordinator.close("trials")
    examples.unchain(tmp_path / "journal.jsonl")
    lines = (tmp_path / "journal.jsonl").read_text().splitlines(keepends=True)
    first = json.loads(lines[0])
    first["spec"]["storage"] = "s3://KEY:HIDDEN@bucket/kept?region=e"
    (tmp_path / "journal.jsonl").write_text(json.dumps(first) + "\n" + "".join(lines[1:]))
    for number, command in enumerate(COMMANDS):
        assert main([command[0], str(tmp_path), *command[1:]]) == 0
        told = capsys.readouterr()
        assert number > 0 or "holds keys, in the URI of its storage" in told.err
        assert "HIDDEN" not in told.err + told.out
    assert "HIDDEN" not in (tmp_path / "report.md").read_text()
    with pytest.warns(UserWarning, match="AWS_ACCESS_KEY_ID"):
        assert experiment_of(RunFolder(tmp_path)).storage == "s3://bucket/kept?region=e"
