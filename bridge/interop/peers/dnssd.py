"""Announces and finds services by python-zeroconf, and publishes by pyzmq, in a network namespace.

Arguments: the namespace, an address in it. Commands, beside those of ../doc.go:

    {"do": "publish", "endpoint": "tcp://192.0.2.2:5556", "frames": ["topic"]}: again and again
    {"do": "announce", "type": "_zmtp._tcp", "instance": "House", "port": 5556, "frames": ["key=value"]}
    {"do": "withdraw"}: the last one
    {"do": "browse", "frames": ["_zws._tcp"]}

Events: "added" and "removed" with the name, and of the former also the address, port and text.
"""
import ctypes
import os
import socket
import sys
import threading
import time

import zmq
from zeroconf import ServiceBrowser, ServiceInfo, Zeroconf

from lines import Commands, emit, to_bytes

CLONE_NEWNET = 0x40000000


def enter(namespace):
    """Moves the process into a network namespace; os.setns came with Python 3.12."""
    with open(f"/run/netns/{namespace}") as f:
        if ctypes.CDLL(None, use_errno=True).setns(f.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def publish(endpoint, frames):
    pub = zmq.Context.instance().socket(zmq.PUB)
    pub.bind(endpoint)
    while True:
        pub.send_multipart(frames)
        time.sleep(0.05)


class Listener:
    def add_service(self, conf, type_, name):
        info = conf.get_service_info(type_, name)
        if info:
            text = sorted(f"{k.decode()}={v.decode()}" for k, v in info.properties.items())
            emit(socket=0, event="added", frames=[name, info.parsed_addresses()[0], str(info.port), *text])

    def update_service(self, conf, type_, name):
        pass

    def remove_service(self, conf, type_, name):
        emit(socket=0, event="removed", frames=[name])


def main():
    namespace, address = sys.argv[1:]
    enter(namespace)
    conf = Zeroconf(interfaces=[address])
    commands, info = Commands(), None
    while (batch := commands.read()) is not None:
        for c in batch:
            if c["do"] == "publish":
                threading.Thread(target=publish, args=(c["endpoint"], to_bytes(c["frames"])), daemon=True).start()
            elif c["do"] == "announce":
                service = c["type"] + ".local."
                info = ServiceInfo(service, f"{c['instance']}.{service}", addresses=[socket.inet_aton(address)], port=c["port"],
                                   properties=dict(t.split("=", 1) for t in c["frames"]), server="house.local.")
                conf.register_service(info)
                emit(socket=0, event="announced")
            elif c["do"] == "withdraw":
                conf.unregister_service(info)
                emit(socket=0, event="withdrawn")
            elif c["do"] == "browse":
                ServiceBrowser(conf, [t + ".local." for t in c["frames"]], Listener())
    conf.close()
    os._exit(0)


main()
