package history

// countBytes is how much of a log one step of Count reads, in bytes.
const countBytes = 256 << 10

// Count returns how many messages that match are kept and follow at, but not more than limit. It
// reads the log in the steps of a Reader, and looks at no more than what is there when it begins.
func (l *Log) Count(at Position, match *Match, limit int) int {
	end := l.End()
	if at == end || limit <= 0 {
		return 0
	}
	r, _ := l.Resume(at, match)
	r.Cut(end)
	var entries []Entry
	n := 0
	for more := true; more && n < limit; {
		entries, more = r.Next(entries[:0], countBytes)
		n += len(entries)
	}
	return min(n, limit)
}
