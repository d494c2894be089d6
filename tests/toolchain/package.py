# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection into build/, and let Galaxy's importer judge the archive as the server would.

The importer says what it dislikes in its log, at WARNING and above, and its exit status stays 0: here each such line
fails, and so does a file in the archive that is no part of the product, and a link to a file that is not in the archive.
"""

from __future__ import annotations

import logging
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from galaxy_importer import collection as importer
from galaxy_importer import config
from galaxy_importer.exceptions import ImporterError

from tests.toolchain.treecopy import copy_of_the_tree
from tests.toolchain.venvs import ENVIRONMENTS, ROOT

BUILD = ROOT / "build"
# Of a link in Markdown, what stands before #, where that is a path inside the tree.
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")

# Whatever else turns up in the archive has to be named in galaxy.yml's build_ignore, or here.
PRODUCT = {
    "CHANGELOG.md", "CHANGELOG.rst", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "FILES.json", "LICENSE", "MANIFEST.json",
    "README.md", "changelogs", "docs", "examples", "extensions", "meta", "playbooks", "plugins", "roles",
}  # fmt: skip


class Complaints(logging.Handler):
    """Keeps what is logged at WARNING and above."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def build() -> Path:
    """The archive of the tree as it stands, in build/."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir()
    galaxy = ENVIRONMENTS["main"].path / "bin" / "ansible-galaxy"
    with copy_of_the_tree() as copy:
        subprocess.run([str(galaxy), "collection", "build", "--output-path", str(BUILD), str(copy)], check=True)
    (archive,) = BUILD.glob("coalmine-canary-*.tar.gz")
    return archive


def strangers(archive: Path) -> list[str]:
    """Top-level names in the archive that are no part of the product."""
    with tarfile.open(archive) as tar:
        return sorted({name.split("/")[0] for name in tar.getnames()} - PRODUCT)


def loose_ends(archive: Path) -> list[str]:
    """Links between files of the archive that lead to none of them."""
    with tarfile.open(archive) as tar:
        names = set(tar.getnames())
        pages = [member for member in tar.getmembers() if member.name.endswith(".md") and member.isfile()]
        texts = {page.name: file.read().decode() for page in pages if (file := tar.extractfile(page))}
    return sorted(
        f"{page} links to {link}"
        for page, text in texts.items()
        for link in _LINK.findall(text)
        if posixpath.normpath(posixpath.join(posixpath.dirname(page), link)) not in names
    )


def judged(archive: Path) -> list[str]:
    """What the importer complains about."""
    complaints = Complaints()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stdout)
    logging.getLogger().addHandler(complaints)
    settings = config.Config({"require_v1_or_greater": True, "check_required_tags": True, "check_changelog": True})
    try:
        with archive.open("rb") as file:
            importer.import_collection(
                file,
                filename=importer.CollectionFilename("coalmine", "canary", version(archive)),
                cfg=settings,
                logger=logging.getLogger("galaxy_importer"),
            )
    except ImporterError as refusal:
        return [*complaints.lines, f"refused: {refusal}"]
    return complaints.lines


def version(archive: Path) -> str:
    return archive.name.removeprefix("coalmine-canary-").removesuffix(".tar.gz")


def main() -> int:
    # The importer runs ansible-doc and ansible-lint as commands.
    os.environ["PATH"] = os.pathsep.join([str(ENVIRONMENTS["main"].path / "bin"), os.environ["PATH"]])
    archive = build()
    found = [f"in the archive, but no part of the product: {name}" for name in strangers(archive)]
    found += [f"not in the archive: {end}" for end in loose_ends(archive)]
    found += judged(archive)
    for line in found:
        print(f"error: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
