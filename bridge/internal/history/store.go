package history

// Store keeps the batches of a log beyond the life of the process (filestore.Store). Load comes
// first; Write and Close are not called concurrently.
type Store interface {
	// Load calls f for each batch that is kept, in the order of Write, carried ones first.
	Load(f func(Batch) error) error
	// Write appends a batch. When it returns nil, the batch survives the end of the process.
	// After an error nothing of it is kept, and Write may be called again.
	Write(b Batch) error
	// Close waits until everything is stored for good.
	Close() error
}

// Batch is a run of records.
type Batch struct {
	First uint64 // sequence of its first record
	Count int
	Data  []byte
}
