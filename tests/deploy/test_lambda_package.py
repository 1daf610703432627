"""The package of AWS Lambda: what is in it, and that the same content is the same bytes.

``make lambda ARGS=--check`` builds the real ones twice and compares them; here are the parts, on small trees.
"""

from __future__ import annotations

import importlib
import io
import re
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import botocore.loaders
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def package() -> Any:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        return importlib.import_module("lambda_package")
    finally:
        sys.path.remove(str(ROOT / "scripts"))


def wheel(folder: Path, files: dict[str, bytes]) -> Path:
    """Write a wheel, dated now."""
    file = folder / "some-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, time.localtime()[:6]), content)
    return file


def test_the_bytes_depend_on_names_and_contents_only(package: Any) -> None:
    files = {"b.py": b"1", "a/c.so": b"\x7fELF" * 100, "a.py": b"2"}
    one, other = package.packed(files), package.packed(dict(reversed(files.items())))
    assert one == other
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        assert archive.namelist() == ["a.py", "a/c.so", "b.py"]
        found = {(entry.date_time, entry.external_attr >> 16) for entry in archive.infolist()}
        assert found == {((1980, 1, 1, 0, 0, 0), 0o100644)}
        assert archive.read("a/c.so") == files["a/c.so"]


def test_a_wheel_is_taken_as_it_is_installed_without_what_no_function_reads(package: Any, tmp_path: Path) -> None:
    kept = {
        "some/__init__.py": b"",
        "some/_fast.cpython-313-aarch64-linux-gnu.so": b"",
        "some-1.0.dist-info/METADATA": b"",
        "some-1.0.dist-info/entry_points.txt": b"",
        "some-1.0.dist-info/licenses/LICENSE": b"",
        "some-1.0.data/purelib/other.py": b"",
        "botocore/docs/__init__.py": b"",
        "twokey/serverless/handler.py": b"",
        "twokey/testing.py": b"",
    }
    left_out = (
        *("some/tests/test_it.py", "some/_fast.pyi", "some/_fast.pyx", "some/py.typed", "some-1.0.dist-info/RECORD"),
        *("some-1.0.data/scripts/some", "some-1.0.data/headers/some.h", "bin/some"),
        *("twokey/cli/main.py", "twokey/emulator/__init__.py", "twokey/testing/fakes.py"),
    )
    found = package.content_of(wheel(tmp_path, kept | dict.fromkeys(left_out, b"")))
    assert set(found) == {name.replace("some-1.0.data/purelib/", "") for name in kept}


def test_modules_are_compiled_so_that_they_are_never_compared_with_their_source(package: Any, tmp_path: Path) -> None:
    version = "{}.{}".format(*sys.version_info)
    files = {"some/mod.py": b"NAMES = {'b', 'a', 'c'}\nRAISES = lambda: 1 / 0\n", "some/data.json": b"{}"}
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / f"python{version}").symlink_to(sys.executable)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PATH", str(folder), prepend=":")
        found = package.compiled(files, version, tmp_path / "compiled")
    ((name, content),) = found.items()
    assert name == f"some/__pycache__/mod.{sys.implementation.cache_tag}.pyc"
    assert content[4:8] == b"\x01\0\0\0", "by hash, and unchecked (PEP 552)"
    assert b"/var/task/some/mod.py" in content
    assert str(tmp_path).encode() not in content


def test_a_missing_interpreter_is_named(package: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(package.BuildError, match=r"python3\.13 is needed .* not on the PATH"):
        package.compiled({}, "3.13", tmp_path)


class TestServices:
    def test_those_that_twokey_calls_are_in(self, package: Any) -> None:
        found = package.services()
        assert found >= {"iam", "sts", "secretsmanager", "ssm", "s3", "dynamodb", "sns", "events", "sesv2"}
        assert found <= set(botocore.loaders.Loader().list_available_services("service-2"))

    def test_others_are_left_out_and_what_all_services_share_stays(self, package: Any) -> None:
        data = ("iam/2010-05-08/service-2.json.gz", "ec2/2016-11-15/service-2.json.gz", "endpoints.json")
        files = {f"botocore/data/{name}": b"" for name in data} | {
            "botocore/session.py": b"",
            "twokey/__init__.py": b"",
        }
        kept = package.only_used_services(files, ["iam"])
        assert set(files) - set(kept) == {"botocore/data/ec2/2016-11-15/service-2.json.gz"}

    def test_one_that_botocore_does_not_describe_is_an_error(self, package: Any) -> None:
        with pytest.raises(package.BuildError, match="no service 'iam'"):
            package.only_used_services({"botocore/data/iamx/service-2.json.gz": b""}, ["iam"])

    def test_a_service_whose_name_is_computed_is_an_error_that_names_the_line(
        self, package: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "aws").mkdir()
        (tmp_path / "aws" / "new.py").write_text('\nclients.client("kms")\nSender(clients, f"{name}")\n', "utf-8")
        with pytest.raises(package.BuildError, match=r"aws/new\.py:3: the name of the AWS service"):
            package.services(tmp_path)


def locked(name: str) -> dict[str, str]:
    """Return the versions of a lock file."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w-]+)==(\S+)", text, re.MULTILINE))


def test_the_libraries_are_those_that_the_tests_run_with() -> None:
    mine, tested = locked("runtime.txt"), locked("dev.txt")
    assert mine
    assert mine.items() <= tested.items()


def test_libraries_of_the_terminal_are_left_out_by_their_names(package: Any) -> None:
    names = {name.replace("-", "_") for name in locked("runtime.txt")}
    assert set(package.OF_THE_TERMINAL) <= names
