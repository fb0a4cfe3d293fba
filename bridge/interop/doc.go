// Package interop tests the bridge with foreign peers: jszmq, libzmq through npm zeromq and
// pyzmq, pyzmq's ThreadAuthenticator, Node 22, Chromium, Firefox, RabbitMQ, nginx, and in network namespaces
// python-zeroconf, avahi and dnsmasq. The tests have the
// build tag interop; the script run installs the peers and runs the tests.
//
// Each peer is a process in the directory peers. A test writes commands to its standard input and
// reads events from its standard output, one JSON object per line:
//
//	{"do":"open","socket":1,"type":"SUB","connect":"ws://…","subscribe":["a"],"options":{…}}
//	{"do":"send","socket":1,"frames":["hello"]}
//	{"do":"close","socket":1}
//	{"do":"zap","socket":1,"options":{…}}     starts the ZAP handler (pyzmq)
//	{"do":"grant","socket":1,"frames":["a"]}  subscribes a peer (pyzmq, xpub_manual)
//	{"do":"read","socket":1}
//	{"do":"stop","socket":1}                  ends what a socket publishes by itself (churn)
//
//	{"socket":1,"event":"open","endpoint":"tcp://127.0.0.1:41234"}
//	{"socket":1,"event":"message","frames":["hello"]}
//	{"socket":1,"event":"handshake:error:auth","status":400}
//	{"socket":1,"event":"failed","error":"…"}
//
// The JavaScript client takes "watch", and "watched" for the event of what held its thread up.
// Browsers also take "offline", "online", and, in Chromium, "freeze" and "thaw" for the page of a socket.
// A peer reports messages at once, except on sockets with the option "paused", which wait for
// "read". A frame is a string in which each character is one byte. The test chooses the numbers
// of the sockets. The end of standard input ends the process.
package interop
