# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments in the cache: one for all checkouts with the same pins, another for other pins, old ones forgotten."""

from __future__ import annotations

import os
import shutil
import sys
import time
import venv
from pathlib import Path

import pytest

from tests.toolchain import venvs
from tests.toolchain.venvs import KEPT_SECONDS, Environment, kept_at, link, make, python_for

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
PINS = Environment("pins", ".venv-pins", (VERSION,))


def without_pip(path: Path, python: str) -> None:
    """An environment whose pip, which would take seconds, writes down what it was asked for."""
    del python
    shutil.rmtree(path, ignore_errors=True)
    venv.create(path, symlinks=True)
    (packages,) = path.glob("lib/python*/site-packages")
    (packages / "pip.py").write_text(WRITES_DOWN)


WRITES_DOWN = "import pathlib, sys\npathlib.Path(sys.prefix, 'asked').write_text(' '.join(sys.argv[1:]))\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree whose environment needs nothing to be installed, and a cache of its own."""
    monkeypatch.setattr(venvs, "create_empty", without_pip)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(venvs, "ROOT", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "pins.txt").write_text("# nothing\n")
    return tmp_path


def test_an_environment_is_made_once_and_linked(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make(PINS)
    assert "installing" in capsys.readouterr().out
    kept = PINS.path.readlink()
    assert kept.is_relative_to(checkout / "cache") and PINS.python.exists()
    assert (kept / "asked").read_text().endswith(f"install -q --disable-pip-version-check -r {PINS.requirements}")
    PINS.path.unlink()
    assert make(PINS)
    assert capsys.readouterr().out == "" and PINS.path.readlink() == kept


def test_one_that_was_broken_off_is_made_again(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = kept_at(PINS, python_for(PINS) or "")
    (kept / "bin").mkdir(parents=True)
    (kept / "bin" / "python").touch()
    assert make(PINS)
    assert "installing" in capsys.readouterr().out and (kept / "bin" / "python").is_symlink()


def test_other_pins_are_another_environment(checkout: Path) -> None:
    before = kept_at(PINS, sys.executable)
    PINS.requirements.write_text("# something else\n")
    assert kept_at(PINS, sys.executable) != before


def test_no_python_no_environment() -> None:
    assert not make(Environment("main", ".venv-none", ("2.0",)))


def test_a_build_for_speed_comes_before_what_a_version_manager_has_put_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_the_system, of_a_manager = tmp_path / "usr", tmp_path / "shims"
    for folder in (of_the_system, of_a_manager):
        folder.mkdir()
        (folder / f"python{VERSION}").symlink_to(sys.executable)
    monkeypatch.setattr(venvs, "FAST_BUILDS", (str(tmp_path / "nowhere"), str(of_the_system)))
    monkeypatch.setenv("PATH", str(of_a_manager))
    assert venvs.find_python(VERSION) == str(of_the_system / f"python{VERSION}")
    (of_the_system / f"python{VERSION}").unlink()
    assert venvs.find_python(VERSION) == str(of_a_manager / f"python{VERSION}")


def test_a_build_for_speed_that_cannot_make_an_environment_comes_after_one_that_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare, whole = tmp_path / "usr" / f"python{VERSION}", tmp_path / "shims" / f"python{VERSION}"
    for command in (bare, whole):
        command.parent.mkdir()
    bare.write_text(f'#!/bin/sh\ncase $2 in *ensurepip*) exit 1;; *) exec {sys.executable} "$@";; esac\n')
    bare.chmod(0o755)
    monkeypatch.setattr(venvs, "FAST_BUILDS", (str(bare.parent),))
    monkeypatch.setenv("PATH", f"{whole.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    assert venvs.find_python(VERSION) != str(bare)
    whole.symlink_to(sys.executable)
    assert venvs.find_python(VERSION) == str(whole)
    monkeypatch.setattr(venvs, "candidates", lambda version: iter([str(bare)]))
    assert venvs.find_python(VERSION) == str(bare)


def test_what_nobody_has_asked_for_is_forgotten(checkout: Path) -> None:
    folder = kept_at(PINS, sys.executable).parent
    long_ago = time.time() - KEPT_SECONDS - 1
    for name in ("old", "new"):
        (folder / name).mkdir(parents=True)
        (folder / name / "finished").touch()
    os.utime(folder / "old" / "finished", (long_ago, long_ago))
    assert make(PINS)
    assert not (folder / "old").exists() and (folder / "new").exists()


def test_a_folder_of_the_tree_gives_way_to_the_link(tmp_path: Path) -> None:
    path, kept = tmp_path / ".venv", tmp_path / "kept"
    kept.mkdir()
    (path / "bin").mkdir(parents=True)
    link(path, kept)
    link(path, kept)
    assert path.readlink() == kept
