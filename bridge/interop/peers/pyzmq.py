"""Sockets of pyzmq over tcp, each in a context of its own with its own ZAP handler."""
import sys
import threading
import traceback

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import parse_monitor_message

from lines import Commands, emit, to_bytes, to_text

REPORTED = {
    zmq.EVENT_ACCEPTED: "accept",
    zmq.EVENT_HANDSHAKE_SUCCEEDED: "handshake",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "handshake:error:auth",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "handshake:error:protocol",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "handshake:error:other",
    zmq.EVENT_DISCONNECTED: "disconnect",
}


class ZAP(threading.Thread):
    """A handler at inproc://zeromq.zap.01 that replaces ThreadAuthenticator.

    status: the status of every reply. hang: send no reply. forward: the endpoint of another
    handler, to which requests are forwarded over a DEALER, with their envelope.
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
        emit(socket=self.number, event="zap", mechanism=mechanism.decode())
        if self.back:
            self.back.send_multipart(frames)
        elif not self.hang:
            self.front.send_multipart(envelope + [version, request, self.status.encode(), b"configured", b"", b""])


class Socket:
    def __init__(self, number, type, bind=None, connect=None, subscribe=(), options=None):
        self.number = number
        self.context = zmq.Context()
        self.authenticator = None
        options = dict(options or {})
        self.quiet = options.get("quiet", False)
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
        if options.get("zap"):
            ZAP(self.context, self.number, **options["zap"]).start()
        elif "passwords" in options or "keys" in options:
            self.authenticator = ThreadAuthenticator(self.context)
            self.authenticator.start()
            if "passwords" in options:
                self.authenticator.configure_plain("*", options["passwords"])
            if "keys" in options:
                self.authenticator.configure_curve("*", options["keys"])

    def secure(self, options):
        if options.get("routing_id"):
            self.zmq.routing_id = options["routing_id"].encode()
        for option in "req_correlate", "req_relaxed", "probe_router", "xpub_verbose", "xpub_manual", "handshake_ivl":
            if options.get(option):
                setattr(self.zmq, option, int(options[option]))
        if "xpub_welcome_msg" in options:
            self.zmq.setsockopt(zmq.XPUB_WELCOME_MSG, options["xpub_welcome_msg"].encode())
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
            emit(socket=self.number, event="message", frames=to_text(self.zmq.recv_multipart()))
            return
        event = parse_monitor_message(self.monitor.recv_multipart())
        if event["event"] in REPORTED and not self.quiet:
            emit(socket=self.number, event=REPORTED[event["event"]], status=event["value"])

    def close(self):
        self.zmq.disable_monitor()
        self.monitor.close(0)
        self.zmq.close(0)
        if self.authenticator:
            self.authenticator.stop()
        self.context.term()


sockets = {}
poller = zmq.Poller()


def handle(command):
    number = command["socket"]
    if command["do"] == "open":
        s = Socket(number, **{k: v for k, v in command.items() if k not in ("do", "socket")})
        sockets[number] = s
        for source in s.zmq, s.monitor:
            poller.register(source, zmq.POLLIN)
        emit(socket=number, event="open", endpoint=s.zmq.last_endpoint.decode().strip("\0"))
    elif command["do"] == "send":
        sockets[number].zmq.send_multipart(to_bytes(command["frames"]))
    elif command["do"] == "zap":
        sockets[number].start_zap(command["options"])
    elif command["do"] == "grant":  # xpub_manual: to the peer whose subscription was read last
        sockets[number].zmq.setsockopt(zmq.SUBSCRIBE, *to_bytes(command["frames"]))
    elif command["do"] == "close":
        s = sockets.pop(number)
        for source in s.zmq, s.monitor:
            poller.unregister(source)
        s.close()
        emit(socket=number, event="closed")


def main():
    commands = Commands()
    poller.register(commands, zmq.POLLIN)
    while True:
        ready = [source for source, _ in poller.poll()]
        if commands.fileno() in ready:
            lines = commands.read()
            if lines is None:
                sys.exit(0)
            for command in lines:
                try:
                    handle(command)
                except Exception:
                    emit(socket=command["socket"], event="failed", error=traceback.format_exc())
        for s in list(sockets.values()):
            for source in s.zmq, s.monitor:
                if source in ready and not source.closed:
                    s.received(source)


main()
