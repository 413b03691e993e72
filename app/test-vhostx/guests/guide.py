# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The commands of the guides, as the tests run them.

A comment ".. test: NAME" in a page stands before the block of that name. What
a reader replaces is replaced here too: paths below /run, PLUGIN and the like.
"""

import re
import shlex
import subprocess

from guest import Guest
from image import CHECKOUT, tool
from testpmd import PROMPT, Testpmd

HOWTO = CHECKOUT / "doc" / "guides" / "howto"
BLOCK = re.compile(r"^\.\. test: (.+)\n\n\.\. code-block:: console\n\n((?:   .*\n|\n)+)", re.M)
# The pages poll on CPU 1.
GUEST_CPUS = {0}


class Page:
    """The named blocks of one page."""

    def __init__(self, name, replacements):
        text = (HOWTO / f"{name}.rst").read_text(encoding="utf-8")
        self._blocks = {title: re.sub(r"^   ", "", block, flags=re.M).strip()
                        for title, block in BLOCK.findall(text + "\n")}
        self._replacements = replacements

    def block(self, title):
        """The lines of a block, broken lines joined."""
        text = self._blocks[title]
        for old, new in self._replacements.items():
            assert old != new
            text = text.replace(old, str(new))
        return text.replace("\\\n", " ").splitlines()

    def words(self, title):
        """The words of the first line of a block."""
        return shlex.split(self.block(title)[0])

    def testpmd(self, title):
        """Start the testpmd of a block, and give it the commands that follow."""
        first, *rest = self.block(title)
        pmd = GuideTestpmd(title, shlex.split(first)).wait_ready()
        for line in rest:
            assert line.startswith(PROMPT), line
            pmd.command(line.removeprefix(PROMPT))
        return pmd

    def run(self, title, folder):
        """Run a block in a shell, in a folder where devtools/ is; what it printed."""
        link = folder / "devtools"
        if not link.exists():
            link.symlink_to(CHECKOUT / "devtools")
        commands = "\n".join(line.removeprefix("$ ") for line in self.block(title))
        done = subprocess.run(["bash", "-ec", commands], cwd=folder, capture_output=True, text=True,
                              timeout=30, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


class GuideTestpmd(Testpmd):
    """A testpmd with the command line of a page, whatever that runs it in."""

    def __init__(self, name, words):
        self._words = words
        super().__init__(name.replace(" ", "-"), [], [], ignore_sigpipe=True)

    def _command(self, program, eal, args):
        return self._words


class GuideGuest(Guest):
    """A QEMU with the command line of a page."""

    def __init__(self, name, folder, words):
        self._words = words
        super().__init__(name, folder, None, [], run_on=GUEST_CPUS)

    def command(self):
        """The page's, which has the first serial port on standard output."""
        return [tool(self._words[0]), *self._words[1:]]
