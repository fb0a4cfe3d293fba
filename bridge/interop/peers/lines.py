"""Standard input and output of a peer: one JSON object a line, as ../doc.go tells."""
import json
import os
import sys
import threading

_writing = threading.Lock()


def say(**line):
    """Writes one line."""
    with _writing:
        sys.stdout.write(json.dumps({k: v for k, v in line.items() if v is not None}) + "\n")
        sys.stdout.flush()


def octets(frames):
    """Frames in a line are strings, one character an octet."""
    return [f.encode("latin-1") for f in frames]


def text(frames):
    return [f.decode("latin-1") for f in frames]


class Orders:
    """The lines of standard input, for a poller: read() gives what is there, None at the end."""

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
