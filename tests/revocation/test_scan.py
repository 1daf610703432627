"""Ids of keys are found in files of any kind and in every commit; what was not read is said."""

from __future__ import annotations

import base64
import gzip
import os
import subprocess
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from twokey.core.errors import UsageError
from twokey.revocation import key_text
from twokey.revocation.scan import refuse_missing, scan

if TYPE_CHECKING:
    from pathlib import Path

    from twokey.revocation.key_text import Found

KEY = "AKIARZPUZDIKDS4GJPMX"
OTHER = "AKIARZPUZDIKJW3LD5CG"
SECRET = "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"
PAIR = f"aws_access_key_id={KEY}\naws_secret_access_key={SECRET}\n"


def found(content: bytes | str) -> list[Found]:
    return list(key_text.search(BytesIO(content.encode() if isinstance(content, str) else content)))


class TestAnId:
    @pytest.mark.parametrize(
        "text",
        [
            PAIR,
            f'{{"AccessKeyId": "{KEY}", "SecretAccessKey": "{SECRET.replace("/", chr(92) + "/")}"}}',
            f"https://x/?id={KEY}&secret={SECRET.replace('/', '%2F').replace('+', '%2b')}",
            f"{KEY}:{SECRET}",
            f"{KEY},{SECRET},x",
        ],
    )
    def test_is_found_with_the_secret_beside_it_however_that_is_written(self, text: str) -> None:
        [one] = found(f"\n\n{text}")
        assert (one.key_id, one.line, one.secret) == (KEY, 3, True)

    @pytest.mark.parametrize(
        ("text", "own"),
        [
            (f"{KEY}\n{SECRET}\n{OTHER}\n", [True, False]),
            (f"{KEY}\n{OTHER}\n{SECRET}\n", [False, True]),
            (f"[a]\nid={KEY}\nsecret={SECRET}\n[b]\nid={OTHER}\nsecret={SECRET[::-1]}\n", [True, True]),
            (f'{{"secret": "{SECRET}", "id": "{KEY}", "old": "{OTHER}"}}', [True, False]),
        ],
    )
    def test_has_the_secret_that_is_its_own_by_the_order_of_both(self, text: str, own: list[bool]) -> None:
        assert [(one.secret, one.own) for one in found(text)] == [(True, each) for each in own]

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
    def test_is_found_in_what_windows_writes(self, encoding: str) -> None:
        assert found(f"é\n{PAIR}".encode(encoding)) == [key_text.Found(KEY, 2, secret=True, own=True)]

    @pytest.mark.parametrize(
        "beside", ["", "0123456789abcdef" * 2 + "01234567", "0123456789ABCDEF" * 2 + "01234567", f"x{SECRET}"]
    )
    def test_beside_a_hash_or_another_length_has_no_secret(self, beside: str) -> None:
        assert [one.secret for one in found(f"{KEY} {beside}")] == [False]

    @pytest.mark.parametrize("before", ["", "=", "k=", "[default]\n"])
    def test_is_found_in_a_text_that_is_encoded_as_base64(self, before: str) -> None:
        encoded = base64.b64encode(f"{before}{KEY}\n{SECRET}\n".encode()).decode()
        assert found(f"\nconfig: {encoded}\n") == [key_text.Found(KEY, 2, secret=True, own=True)]
        assert found(f"{encoded[:20]}\n{encoded[20:]}") == []

    @pytest.mark.parametrize("end", ["", "\n"])
    def test_is_found_where_id_and_secret_are_encoded_each_by_itself(self, end: str) -> None:
        one, other = (base64.b64encode(f"{text}{end}".encode()).decode() for text in (KEY, SECRET))
        assert found(f"data:\n  id: {one}\n  secret: {other}\n") == [key_text.Found(KEY, 2, secret=True, own=True)]
        assert [each.secret for each in found(f"data:\n  id: {one}\n  name: {one}{one}\n")] == [False] * 3

    def test_is_not_a_part_of_a_longer_word(self) -> None:
        assert found(f"x{KEY} {KEY}1 {KEY[:-1]}") == []

    @pytest.mark.parametrize("gap", [-25, -1, 0, 500, 1020])
    def test_is_found_once_wherever_two_parts_of_a_large_file_meet(
        self, gap: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(key_text, "CHUNK", 5000)
        before = "-" * 98 + "\n"
        text = (before * 200)[: 5000 - gap - len(PAIR)] + "\n" + PAIR + before * 200
        assert found(text) == [key_text.Found(KEY, text[: text.index(KEY)].count("\n") + 1, secret=True, own=True)]

    def test_in_a_part_of_a_stream_ends_with_that_part(self) -> None:
        stream = BytesIO(f"{PAIR}{PAIR}".encode())
        assert len(list(key_text.search(stream, len(PAIR)))) == 1
        assert stream.tell() == len(PAIR)


class TestADirectory:
    def test_is_searched_to_its_depth_and_loops_of_links_end(self, tmp_path: Path) -> None:
        deep = tmp_path / "a" / "b"
        deep.mkdir(parents=True)
        deep.joinpath(".env").write_text(PAIR)
        deep.joinpath("binary").write_bytes(b"\0\xff" * 100 + PAIR.encode())
        deep.joinpath("loop").symlink_to(tmp_path)
        os.mkfifo(deep / "pipe")
        result = scan([str(tmp_path)])
        assert sorted(str(one.location) for one in result.sightings) == [f"{deep}/.env:1", f"{deep}/binary:1"]
        assert (result.unread, result.files) == ([], 2)

    def test_names_what_it_could_not_read_or_did_not_open(self, tmp_path: Path) -> None:
        tmp_path.joinpath("logs.gz").write_bytes(gzip.compress(PAIR.encode()))
        tmp_path.joinpath("closed").mkdir(0o000)
        tmp_path.joinpath("secret").write_text(PAIR)
        tmp_path.joinpath("secret").chmod(0o000)
        result = scan([str(tmp_path)])
        assert result.archives == [f"{tmp_path}/logs.gz"]
        if os.getuid():
            assert sorted(result.unread) == [
                f"{tmp_path}/{name} cannot be read: Permission denied." for name in ("closed", "secret")
            ]

    def test_that_does_not_exist_is_a_mistake(self) -> None:
        with pytest.raises(UsageError, match="there is no file or directory /nowhere"):
            refuse_missing(["/nowhere"])


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main")
    ran = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return ran.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "-q")
    return folder


def commit(folder: Path, text: str, name: str = ".env") -> str:
    folder.joinpath(name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Change it")
    return git(folder, "rev-parse", "HEAD")


class TestARepository:
    def test_has_the_first_commit_of_a_file_that_is_clean_today(self, repository: Path) -> None:
        first = commit(repository, f"\n{PAIR}")
        commit(repository, "clean")
        commit(repository, f"\n{PAIR}")
        commit(repository, "clean")
        result = scan([str(repository)])
        assert [str(one.location) for one in result.sightings] == [f"{repository}/.env:2 in commit {first[:12]}"]
        assert (result.sightings[0].secret, result.unread) == (True, [])

    def test_has_what_no_branch_has_any_more_and_messages(self, repository: Path) -> None:
        commit(repository, "clean")
        git(repository, "commit", "-q", "--allow-empty", "-m", f"Rotate {KEY} {SECRET}")
        loose = subprocess.run(
            ["git", "hash-object", "-w", "--stdin"],
            cwd=repository,
            input=PAIR,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        locations = sorted(one.location.path for one in scan([str(repository)]).sightings if one.location.commit)
        assert f"{repository} (the message of the commit)" in locations
        lost = [one for one in scan([str(repository)]).sightings if loose[:12] in one.location.path]
        assert [one.location.path for one in lost] == [
            f"{repository} (blob {loose[:12]}, in no commit that a branch has)"
        ]

    def test_of_a_merge_and_a_bare_one_are_searched_too(self, repository: Path, tmp_path: Path) -> None:
        commit(repository, "one")
        git(repository, "checkout", "-q", "-b", "side")
        commit(repository, "side", "side")
        git(repository, "checkout", "-q", "main")
        commit(repository, "main", "main")
        git(repository, "merge", "-q", "--no-commit", "side")
        merge = commit(repository, PAIR, "added-in-the-merge")
        git(tmp_path, "clone", "-q", "--bare", "clone", "bare.git")
        [one] = scan([str(tmp_path / "bare.git")]).sightings
        assert str(one.location) == f"{tmp_path}/bare.git/added-in-the-merge:1 in commit {merge[:12]}"

    def test_that_is_shallow_or_broken_is_not_a_clean_one(self, repository: Path, tmp_path: Path) -> None:
        commit(repository, PAIR)
        commit(repository, "clean")
        git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
        [unread] = scan([str(tmp_path / "shallow")]).unread
        assert "is a shallow clone" in unread
        for head in tmp_path.joinpath("shallow", ".git").glob("HEAD"):
            head.write_text("nonsense")
        [unread] = scan([str(tmp_path / "shallow")]).unread
        assert "failed: fatal: not a git repository" in unread

    def test_is_searched_wherever_it_is_in_a_directory_and_once_for_all_its_work_trees(
        self, repository: Path, tmp_path: Path
    ) -> None:
        commit(repository, PAIR)
        commit(repository, "clean")
        git(repository, "worktree", "add", "-q", "../second", "HEAD~1")
        top = tmp_path / "top"
        top.mkdir()
        git(tmp_path, "clone", "-q", "--bare", "clone", "top/mirror")
        git(top, "init", "-q", "parent")
        allowed = ("-c", "protocol.file.allow=always")
        git(top / "parent", *allowed, "submodule", "--quiet", "add", str(repository), "inner")
        result = scan([str(top)])
        assert sorted(one.location.path for one in result.sightings) == [
            f"{top}/mirror/.env",
            f"{top}/parent/inner/.env",
        ]
        assert result.unread == []
        linked = [one.location for one in scan([str(tmp_path)]).sightings if one.location.commit]
        assert len([one for one in linked if str(top) not in one.path]) == 1

    def test_does_not_run_what_its_configuration_names(self, repository: Path, tmp_path: Path) -> None:
        commit(repository, PAIR)
        for name in ("core.fsmonitor", "diff.external", "core.pager", "filter.x.smudge", "diff.x.textconv"):
            git(repository, "config", name, f"touch {tmp_path}/ran")
        repository.joinpath(".gitattributes").write_text("* filter=x diff=x\n")
        assert len(scan([str(repository)]).sightings) == 2
        assert not tmp_path.joinpath("ran").exists()
