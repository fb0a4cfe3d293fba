"""A libzmq peer for the recordings in golden/, started by golden_test.go -update.

The only argument is a JSON object that describes the peer. The output is JSON lines: first the
endpoint, at the end the handshake events of the socket's monitor.
"""

import json
import os
import sys
import threading

import zmq
from zmq.utils.monitor import recv_monitor_message

spec = json.loads(sys.argv[1])
context = zmq.Context()
LINGER = 2000  # ms


def say(**what):
    print(json.dumps(what), flush=True)


def answer_zap(rep):
    while True:
        request = rep.recv_multipart()
        status = str(spec["zap"]).encode()
        user = b"anna" if spec["zap"] == 200 else b""
        rep.send_multipart([b"1.0", request[1], status, b"text", user, b""])


def watch(monitor, events, ended):
    names = {
        zmq.Event.HANDSHAKE_SUCCEEDED: "succeeded",
        zmq.Event.HANDSHAKE_FAILED_AUTH: "failed auth",
        zmq.Event.HANDSHAKE_FAILED_PROTOCOL: "failed protocol",
        zmq.Event.HANDSHAKE_FAILED_NO_DETAIL: "failed no detail",
    }
    while True:
        event = recv_monitor_message(monitor)
        if event["event"] in names:
            name = names[event["event"]]
            if name == "failed auth":
                name += " %d" % event["value"]
            events.append(name)
            ended.set()


sock = context.socket(getattr(zmq, spec["socket"]))
sock.linger = LINGER
events, ended = [], threading.Event()
threading.Thread(
    target=watch, args=(sock.get_monitor_socket(), events, ended), daemon=True
).start()

server = spec["role"] == "server"
if server:
    rep = context.socket(zmq.REP)
    rep.bind("inproc://zeromq.zap.01")
    threading.Thread(target=answer_zap, args=(rep,), daemon=True).start()
    sock.zap_domain = b"house"
if spec["mechanism"] == "PLAIN":
    if server:
        sock.plain_server = True
    else:
        sock.plain_username, sock.plain_password = spec["user"].encode(), spec["password"].encode()
if spec["mechanism"] == "CURVE":
    sock.curve_publickey = bytes.fromhex(spec["public"])
    sock.curve_secretkey = bytes.fromhex(spec["secret"])
    if server:
        sock.curve_server = True
    else:
        sock.curve_serverkey = bytes.fromhex(spec["server_key"])
if spec["socket"] == "SUB":
    sock.subscribe(b"house/")

if server:
    sock.bind("tcp://127.0.0.1:*")
    say(endpoint=sock.last_endpoint.decode(), libzmq=zmq.zmq_version())
else:
    say(libzmq=zmq.zmq_version())
    sock.connect(spec["endpoint"])

if spec["traffic"]:
    if server:
        sock.send_multipart(sock.recv_multipart())
    elif spec["socket"] == "DEALER":
        sock.send_multipart([b"state", b"on"])
        assert sock.recv_multipart() == [b"state", b"on"]
    else:
        assert sock.recv_multipart() == [b"house/anna", b"21.5"]
ended.wait(10)
sys.stdin.read()  # the test closes it when it is done
say(events=events)
sys.stdout.flush()
os._exit(0)  # not sys.exit: the threads are blocked in receives
