"""Standard input and output of a peer: one JSON object per line, see ../doc.go."""
import json
import os
import sys
import threading

_writing = threading.Lock()


def emit(**line):
    """Writes one event."""
    with _writing:
        sys.stdout.write(json.dumps({k: v for k, v in line.items() if v is not None}) + "\n")
        sys.stdout.flush()


def to_bytes(frames):
    """Frames of a command are strings in which each character is one byte."""
    return [f.encode("latin-1") for f in frames]


def to_text(frames):
    return [f.decode("latin-1") for f in frames]


class Commands:
    """Commands from standard input, for a poller. read() returns those that have arrived, None at the end."""

    def __init__(self):
        self._rest = b""

    def fileno(self):
        return sys.stdin.fileno()

    def read(self):
        chunk = os.read(self.fileno(), 1 << 16)
        if not chunk:
            return None
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        return [json.loads(line) for line in whole]
