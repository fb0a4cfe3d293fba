package queue

import "github.com/zwsbridge/zwsbridge/zws"

var _ zws.Source = (*Queue)(nil)

// Next implements zws.Source: it appends what waits until b is full or nothing is left.
// Only the session's writer calls it. What it has given stays untouched until the next
// call, so the writer calls it after every write until nothing is appended.
func (q *Queue) Next(b *zws.Batch) { q.next(b) }
