"""A PUB of libzmq that publishes numbered messages in bursts, from the first subscriber on.

Frames: a topic that the number determines, the number, and padding.
"""
import random
import sys

import zmq

from lines import Commands, emit

PAUSE = 2  # milliseconds between bursts
BURSTS = 1, 2, 5, 30


def topic(number):
    return b"rare/%d" % (number // 97 % 200) if number % 97 == 0 else b"often/%d" % (number % 40)


def main():
    commands = Commands()
    context = zmq.Context()
    publisher = context.socket(zmq.XPUB)
    publisher.sndhwm = 0  # what is lost is lost by the bridge
    publisher.linger = 0
    publisher.bind("tcp://127.0.0.1:0")
    poller = zmq.Poller()
    for source in commands, publisher:
        poller.register(source, zmq.POLLIN)
    subscribed = False
    number = 0
    while True:
        ready = [source for source, _ in poller.poll(PAUSE if subscribed else None)]
        if publisher in ready:
            subscribed = publisher.recv()[0] == 1 or subscribed
        if commands.fileno() in ready:
            lines = commands.read()
            if lines is None:
                sys.exit(0)
            for command in lines:
                if command["do"] == "open":
                    emit(socket=command["socket"], event="open", endpoint=publisher.last_endpoint.decode().strip("\0"))
                if command["do"] == "close":
                    subscribed = False
                    emit(socket=command["socket"], event="closed")
        if subscribed:
            for _ in range(random.choice(BURSTS)):
                number += 1
                publisher.send_multipart([topic(number), b"%d" % number, bytes(random.randrange(200))])


main()
