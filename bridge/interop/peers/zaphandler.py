"""A ZAP handler as a service of its own, after 27/ZAP: ROUTER or REP over tcp or ipc.

It knows passwords, tokens and the raw keys of CURVE, and answers some users as no good
handler would.
"""
import struct
import sys
import traceback

import zmq
import zmq.utils.z85 as z85
from zmq.auth.thread import ThreadAuthenticator

from lines import Orders, say


def metadata(properties):
    """Properties as 23/ZMTP has them."""
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
        if "secret" in options:  # whoever asks logs in by CURVE
            self.authenticator = ThreadAuthenticator(self.context)
            self.authenticator.start()
            self.authenticator.configure_curve("*", options["keys"])
            self.zmq.curve_server = True
            self.zmq.curve_secretkey = options["secret"].encode()
        self.zmq.bind(bind)

    def asked(self):
        frames = self.zmq.recv_multipart()
        envelope = []
        if self.zmq.type == zmq.ROUTER:
            end = frames.index(b"") + 1
            envelope, frames = frames[:end], frames[end:]
        version, request, domain, address, identity, mechanism, *credentials = frames
        say(socket=self.number, event="zap", mechanism=mechanism.decode(), domain=domain.decode(), address=address.decode())
        assert version == b"1.0", version
        answer = self.judge(mechanism, credentials)
        if answer:
            status, user, properties = answer
            self.zmq.send_multipart(envelope + [version, request, status, b"as told", user.encode(), metadata(properties)])

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
            if name == "later" and self.refused < 2:  # the third time it is right
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
    orders = Orders()
    poller = zmq.Poller()
    poller.register(orders, zmq.POLLIN)
    while True:
        ready = [source for source, _ in poller.poll()]
        for number, handler in list(handlers.items()):
            if handler.zmq in ready:
                handler.asked()
        if orders.fileno() not in ready:
            continue
        lines = orders.read()
        if lines is None:
            sys.exit(0)
        for order in lines:
            number = order["socket"]
            try:
                if order["do"] == "open":
                    handler = handlers[number] = Handler(number, order["type"], order["bind"], order["options"])
                    poller.register(handler.zmq, zmq.POLLIN)
                    say(socket=number, event="open", endpoint=handler.zmq.last_endpoint.decode().strip("\0"))
                elif order["do"] == "close":
                    handler = handlers.pop(number)
                    poller.unregister(handler.zmq)
                    handler.close()
                    say(socket=number, event="closed")
            except Exception:
                say(socket=number, event="failed", error=traceback.format_exc())


main()
