"""XPUB sockets that number what they publish, and ROUTER sockets that send back what they get.

An XPUB begins anew with each subscription: its messages are a topic, the number of the socket, the
number of the subscription, and that of the message. "stop" ends it, with the event "sent" and the
last two numbers.
"""
import sys
import time
import traceback

import zmq

from lines import Commands, emit

TOPIC = b"p"

context = zmq.Context()
poller = zmq.Poller()
sockets = {}  # by number
publishers = {}  # number: [subscription, messages]


def handle(command):
    number = command["socket"]
    if command["do"] == "open":
        s = context.socket(getattr(zmq, command["type"]))
        s.linger = 0
        s.sndhwm = s.rcvhwm = 0  # nothing is dropped here
        if command["type"] == "XPUB":
            s.setsockopt(zmq.XPUB_MANUAL, 1)  # nothing is sent for a subscription before it was read
            publishers[number] = [0, 0]
        s.bind(command["bind"])
        sockets[number] = s
        poller.register(s, zmq.POLLIN)
        emit(socket=number, event="open", endpoint=s.last_endpoint.decode().strip("\0"))
    elif command["do"] == "stop":
        emit(socket=number, event="sent", frames=[str(n) for n in publishers.pop(number)])
    elif command["do"] == "close":
        publishers.pop(number, None)
        s = sockets.pop(number)
        poller.unregister(s)
        s.close(0)
        emit(socket=number, event="closed")


def received(number, s):
    while True:
        try:
            frames = s.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
        if s.type == zmq.ROUTER:
            s.send_multipart(frames)
        elif number in publishers and frames[0] == b"\1" + TOPIC:
            publishers[number] = [publishers[number][0] + 1, 0]
            s.setsockopt(zmq.SUBSCRIBE, TOPIC)


def publish():
    for number, state in publishers.items():
        if state[0] > 0:
            sockets[number].send_multipart([TOPIC, b"%d" % number, b"%d" % state[0], b"%d" % state[1]])
            state[1] += 1


def main():
    pace = float(sys.argv[1])  # seconds between the messages of a publisher
    commands = Commands()
    poller.register(commands, zmq.POLLIN)
    due = time.monotonic()
    while True:
        ready = [source for source, _ in poller.poll(max(0, due - time.monotonic()) * 1000)]
        if commands.fileno() in ready:
            lines = commands.read()
            if lines is None:
                sys.exit(0)
            for command in lines:
                try:
                    handle(command)
                except Exception:
                    emit(socket=command["socket"], event="failed", error=traceback.format_exc())
        for number, s in list(sockets.items()):
            if s in ready:
                received(number, s)
        if time.monotonic() >= due:
            publish()
            due = time.monotonic() + pace


main()
