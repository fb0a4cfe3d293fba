// Package interop tests the bridge with peers that nobody here wrote: jszmq, libzmq by way
// of npm zeromq and of pyzmq, pyzmq's ThreadAuthenticator, Chromium and nginx. It is a
// module of its own, and the script run installs what it needs and calls its tests.
//
// Each peer is a process in the folder peers. A test gives it orders on standard input and
// hears from it on standard output, one JSON object a line:
//
//	{"do":"open","socket":1,"type":"SUB","connect":"ws://…","subscribe":["a"],"options":{…}}
//	{"do":"send","socket":1,"frames":["hello"]}
//	{"do":"close","socket":1}
//	{"do":"read","socket":1}
//
//	{"socket":1,"event":"open","endpoint":"tcp://127.0.0.1:41234"}
//	{"socket":1,"event":"message","frames":["hello"]}
//	{"socket":1,"event":"handshake:error:auth","status":400}
//	{"socket":1,"event":"failed","error":"…"}
//
// What arrives is told at once, but for sockets with the option "paused", which wait for read.
// A frame is a string in which each character stands for one octet. Where a process can
// have several sockets, they are told apart by the number that the test gave them. The end
// of standard input ends the process.
package interop
