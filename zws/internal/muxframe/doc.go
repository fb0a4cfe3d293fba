// Package muxframe is the framing of ZWSMUX1.0, as PROTOCOL.md defines it: many channels on
// one WebSocket.
//
// One WebSocket message is one [Frame], which [Parse] reads and [Frame.Append] writes. The
// messages of a channel travel in frames with op [Messages], one or more in each:
// [AppendMessage] encodes one, [CheckMessages] checks what a peer sent, and then [Size] and
// [Decode] take them one by one. On a channel with a history, [Marked] frames carry them, each
// after its position and time: [AppendMarked], [CheckMarked], [MarkedSize] and [CutMark]. The
// package knows neither connections nor credit.
package muxframe
