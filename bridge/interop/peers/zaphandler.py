"""A ZAP handler as a service (27/ZAP): ROUTER or REP over tcp or ipc.

It knows passwords, tokens and CURVE keys, and misbehaves for some users.
"""
import struct
import sys
import traceback

import zmq
import zmq.utils.z85 as z85
from zmq.auth.thread import ThreadAuthenticator

from lines import Commands, emit


def metadata(properties):
    """Encodes properties as 23/ZMTP specifies."""
    parts = []
    for name, value in properties.items():
        name, value = name.encode(), value.encode()
        parts.append(struct.pack("!B", len(name)) + name + struct.pack("!I", len(value)) + value)
    return b"".join(parts)


class Handler:
    def __init__(self, number, type, bind, options, **_):
        self.number, self.options = number, options
        self.refused = 0
        self.context = zmq.Context()
        self.zmq = self.context.socket(getattr(zmq, type))
        self.zmq.linger = 0
        self.authenticator = None
        if "secret" in options:  # its clients log in by CURVE
            self.authenticator = ThreadAuthenticator(self.context)
            self.authenticator.start()
            self.authenticator.configure_curve("*", options["keys"])
            self.zmq.curve_server = True
            self.zmq.curve_secretkey = options["secret"].encode()
        self.zmq.bind(bind)

    def reply(self):
        frames = self.zmq.recv_multipart()
        envelope = []
        if self.zmq.type == zmq.ROUTER:
            end = frames.index(b"") + 1
            envelope, frames = frames[:end], frames[end:]
        version, request, domain, address, identity, mechanism, *credentials = frames
        emit(socket=self.number, event="zap", mechanism=mechanism.decode(), domain=domain.decode(), address=address.decode())
        assert version == b"1.0", version
        answer = self.judge(mechanism, credentials)
        if answer:
            status, user, properties = answer
            self.zmq.send_multipart(envelope + [version, request, status, b"decided", user.encode(), metadata(properties)])

    def judge(self, mechanism, credentials):
        user = None
        if mechanism == b"PLAIN":
            name, password = (c.decode() for c in credentials)
            if name == "silent":
                return None
            if name == "broken":
                return b"500", "", {}
            if name == "busy":
                return b"300", "", {}
            if name == "later" and self.refused < 2:  # the third attempt succeeds
                self.refused += 1
                return b"300", "", {}
            if self.options.get("passwords", {}).get(name) == password:
                user = name
        elif mechanism == b"BEARER":
            user = self.options.get("tokens", {}).get(credentials[0].decode())
        elif mechanism == b"CURVE":
            assert len(credentials[0]) == 32
            user = self.options.get("known", {}).get(z85.encode(credentials[0]).decode())
        if user is None:
            return b"400", "", {}
        return b"200", user, self.options.get("metadata", {})

    def close(self):
        self.zmq.close(0)
        if self.authenticator:
            self.authenticator.stop()
        self.context.term()


def main():
    handlers = {}
    commands = Commands()
    poller = zmq.Poller()
    poller.register(commands, zmq.POLLIN)
    while True:
        ready = [source for source, _ in poller.poll()]
        for number, handler in list(handlers.items()):
            if handler.zmq in ready:
                handler.reply()
        if commands.fileno() not in ready:
            continue
        lines = commands.read()
        if lines is None:
            sys.exit(0)
        for command in lines:
            number = command["socket"]
            try:
                if command["do"] == "open":
                    handler = handlers[number] = Handler(number, command["type"], command["bind"], command["options"])
                    poller.register(handler.zmq, zmq.POLLIN)
                    emit(socket=number, event="open", endpoint=handler.zmq.last_endpoint.decode().strip("\0"))
                elif command["do"] == "close":
                    handler = handlers.pop(number)
                    poller.unregister(handler.zmq)
                    handler.close()
                    emit(socket=number, event="closed")
            except Exception:
                emit(socket=number, event="failed", error=traceback.format_exc())


main()
