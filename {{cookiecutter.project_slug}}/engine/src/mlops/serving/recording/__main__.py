"""Compact spool folders: `python -m mlops.serving.recording LOG/spool/*`.

A process of its own, so that neither pyarrow nor a segment is in the server's memory.
"""

import os
import sys
from pathlib import Path

import msgspec

NICE = 19


def main() -> None:
    """Compact the folders of the command line, and print what was done as JSON."""
    os.nice(NICE)
    # An interrupt at the terminal is for the server, which waits for this process. No session
    # would do: Linux gives each as much of the processor as the next, however nice it is.
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    from .compaction import compact

    sys.stdout.buffer.write(msgspec.json.encode(compact(*map(Path, sys.argv[1:]))))


main()
