"""Sockets of pyzmq over tcp, each in a context of its own with the ZAP handler it wants."""
import sys
import threading
import traceback

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import parse_monitor_message

from lines import Orders, octets, say, text

TOLD = {
    zmq.EVENT_ACCEPTED: "accept",
    zmq.EVENT_HANDSHAKE_SUCCEEDED: "handshake",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "handshake:error:auth",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "handshake:error:protocol",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "handshake:error:other",
    zmq.EVENT_DISCONNECTED: "disconnect",
}


class ZAP(threading.Thread):
    """A handler at inproc://zeromq.zap.01 that is not ThreadAuthenticator.

    status: every answer has it. hang: there is no answer. forward: an endpoint where
    another handler is asked, over a DEALER, envelope and all.
    """

    def __init__(self, context, number, status=None, hang=False, forward=None):
        super().__init__(daemon=True)
        self.number, self.status, self.hang = number, status, hang
        self.front = context.socket(zmq.ROUTER)
        self.front.bind("inproc://zeromq.zap.01")
        self.back = None
        if forward:
            self.back = context.socket(zmq.DEALER)
            self.back.linger = 0
            self.back.connect(forward)

    def run(self):
        poller = zmq.Poller()
        poller.register(self.front, zmq.POLLIN)
        if self.back:
            poller.register(self.back, zmq.POLLIN)
        try:
            while True:
                for socket, _ in poller.poll():
                    self.answer(socket, socket.recv_multipart())
        except zmq.ContextTerminated:
            pass
        finally:
            for socket in filter(None, (self.front, self.back)):
                socket.close(0)

    def answer(self, socket, frames):
        if socket is self.back:
            self.front.send_multipart(frames)
            return
        envelope, (version, request, _, _, _, mechanism, *_) = frames[:2], frames[2:]
        say(socket=self.number, event="zap", mechanism=mechanism.decode())
        if self.back:
            self.back.send_multipart(frames)
        elif not self.hang:
            self.front.send_multipart(envelope + [version, request, self.status.encode(), b"told to", b"", b""])


class Socket:
    def __init__(self, number, type, bind=None, connect=None, subscribe=(), options=None):
        self.number = number
        self.context = zmq.Context()
        self.authenticator = None
        options = dict(options or {})
        self.start_zap(options)
        self.zmq = self.context.socket(getattr(zmq, type))
        self.zmq.linger = 0
        self.secure(options)
        self.monitor = self.zmq.get_monitor_socket()
        if bind:
            self.zmq.bind(bind)
        if connect:
            self.zmq.connect(connect)
        for topic in subscribe:
            self.zmq.subscribe(topic.encode())

    def start_zap(self, options):
        if "zap" in options:
            ZAP(self.context, self.number, **options["zap"]).start()
        elif "passwords" in options or "keys" in options:
            self.authenticator = ThreadAuthenticator(self.context)
            self.authenticator.start()
            if "passwords" in options:
                self.authenticator.configure_plain("*", options["passwords"])
            if "keys" in options:
                self.authenticator.configure_curve("*", options["keys"])

    def secure(self, options):
        if "domain" in options:
            self.zmq.zap_domain = options["domain"].encode()
        if options.get("server") == "PLAIN":
            self.zmq.plain_server = True
        if options.get("server") == "CURVE":
            self.zmq.curve_server = True
            self.zmq.curve_secretkey = options["secret"].encode()
        if "username" in options:
            self.zmq.plain_username = options["username"].encode()
            self.zmq.plain_password = options["password"].encode()
        if "server_key" in options:
            self.zmq.curve_serverkey = options["server_key"].encode()
            self.zmq.curve_publickey = options["public"].encode()
            self.zmq.curve_secretkey = options["secret"].encode()

    def received(self, source):
        if source is self.zmq:
            say(socket=self.number, event="message", frames=text(self.zmq.recv_multipart()))
            return
        event = parse_monitor_message(self.monitor.recv_multipart())
        if event["event"] in TOLD:
            say(socket=self.number, event=TOLD[event["event"]], status=event["value"])

    def close(self):
        self.zmq.disable_monitor()
        self.monitor.close(0)
        self.zmq.close(0)
        if self.authenticator:
            self.authenticator.stop()
        self.context.term()


sockets = {}
poller = zmq.Poller()


def obey(order):
    number = order["socket"]
    if order["do"] == "open":
        s = Socket(number, **{k: v for k, v in order.items() if k not in ("do", "socket")})
        sockets[number] = s
        for source in s.zmq, s.monitor:
            poller.register(source, zmq.POLLIN)
        say(socket=number, event="open", endpoint=s.zmq.last_endpoint.decode().strip("\0"))
    elif order["do"] == "send":
        sockets[number].zmq.send_multipart(octets(order["frames"]))
    elif order["do"] == "close":
        s = sockets.pop(number)
        for source in s.zmq, s.monitor:
            poller.unregister(source)
        s.close()
        say(socket=number, event="closed")


def main():
    orders = Orders()
    poller.register(orders, zmq.POLLIN)
    while True:
        ready = [source for source, _ in poller.poll()]
        if orders.fileno() in ready:
            lines = orders.read()
            if lines is None:
                sys.exit(0)
            for order in lines:
                try:
                    obey(order)
                except Exception:
                    say(socket=order["socket"], event="failed", error=traceback.format_exc())
        for s in list(sockets.values()):
            for source in s.zmq, s.monitor:
                if source in ready and not source.closed:
                    s.received(source)


main()
