#!/usr/bin/python3
"""A house in Python: pyzmq sockets with CURVE that accept only the bridge's key."""

import argparse
import time

import zmq
from zmq.auth import load_certificate
from zmq.auth.thread import ThreadAuthenticator


class AllowKey:
    """Accepts clients that have the secret key of one public key."""

    def __init__(self, key):
        self.key = key

    def callback(self, domain, key):
        return key == self.key


def bind(context, kind, endpoint, public, secret):
    socket = context.socket(kind)
    socket.curve_publickey, socket.curve_secretkey = public, secret
    socket.curve_server = True
    socket.linger = 0
    socket.bind(endpoint)
    return socket


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", default="tcp://127.0.0.1:5556", help="endpoint of the PUB")
    parser.add_argument("--commands", default="tcp://127.0.0.1:5557", help="endpoint of the REP")
    parser.add_argument("--cert", default="certs/house", help="key pair of the house: the name of a zcert")
    parser.add_argument("--bridge", default="certs/bridge", help="public key of the bridge: the name of a zcert")
    args = parser.parse_args()

    context = zmq.Context()
    authenticator = ThreadAuthenticator(context)
    authenticator.start()  # must run before any socket is bound
    authenticator.configure_curve_callback(credentials_provider=AllowKey(load_certificate(args.bridge)[0]))

    public, secret = load_certificate(args.cert + "_secret")
    readings = bind(context, zmq.PUB, args.readings, public, secret)
    commands = bind(context, zmq.REP, args.commands, public, secret)
    print(f"house: readings at {args.readings}, commands at {args.commands}", flush=True)

    second, due = 0, time.monotonic()
    while True:
        if commands.poll(max(0, 1000 * (due - time.monotonic()))):
            match commands.recv_multipart():
                case [b"light", value]:
                    commands.send(b"ok: the light is " + value)
                case _:
                    commands.send(b"error: want the frames light, and on or off")
        if time.monotonic() >= due:
            value = f"{20 + second % 20 / 10:.1f}"
            readings.send_multipart([b"house/alice/temperature", value.encode()])
            second, due = second + 1, due + 1


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
