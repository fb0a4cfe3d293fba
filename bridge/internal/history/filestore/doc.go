// Package filestore keeps the log of a route in a directory: a history.Store.
//
// The directory has segments, files of batches that are named by the sequence of their first
// record, and one file "carry", which has what outlives its segment: last values and generations.
// Each batch has a checksum. [Store.Write] appends to the newest segment, and a new one begins
// where that is full. [Store.Trim] deletes whole segments, after what outlives them has been
// carried. [Store.Load] cuts off what a crash has left half written at the end; it never reads
// past damage in the middle ([DamagedError]).
//
// A batch survives the end of the process once Write has returned, and a loss of power after at
// most Options.Sync. A lock keeps a second process away.
package filestore
