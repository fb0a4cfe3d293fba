package backend

import (
	"cmp"
	"slices"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// jobs are the messages of a shared PULL that no stream has taken yet, and the streams that
// take them. All methods are called with core.mu held.
type jobs struct {
	list    []*job // by number
	last    uint64 // the highest number
	owners  map[owner]load
	workers map[*stream]*worker
	idle    []*worker // the longest idle first
}

// job is one message.
type job struct {
	m      zmtp.Message
	p      *peer // that sent it
	number uint64
	taken  bool // is not in jobs.list
}

// load is what waits on one owner's account.
type load struct {
	jobs  int
	bytes int64
}

// worker is a stream that takes jobs.
type worker struct {
	st *stream
	// seen is the highest number of the jobs that were offered to it.
	seen uint64
	// version changes when jobs that it has seen are to be offered again.
	version uint64
	idle    bool
	stopped bool
	given   *job // while it was idle
	wake    chan struct{}
}

func newJobs() *jobs {
	return &jobs{owners: make(map[owner]load), workers: make(map[*stream]*worker)}
}

// full reports whether no more jobs may wait for an owner.
func (q *jobs) full(of owner, o *Options) bool {
	l := q.owners[of]
	return l.jobs > 0 && (l.jobs >= o.HighWaterMark || l.bytes >= o.HighWaterBytes)
}

// add appends a new job.
func (q *jobs) add(j *job) {
	q.last++
	j.number = q.last
	q.list = append(q.list, j)
	q.count(j, 1)
}

// count adds n jobs like j, 1 or -1, to what waits.
func (q *jobs) count(j *job, n int) {
	l := q.owners[j.p.owner]
	l.jobs += n
	l.bytes += int64(n * j.m.Size())
	j.p.jobs += n
	if q.owners[j.p.owner] = l; l.jobs == 0 {
		delete(q.owners, j.p.owner)
	}
}

// find returns where the job with that number is, or would be.
func (q *jobs) find(number uint64) (at int, ok bool) {
	return slices.BinarySearchFunc(q.list, number, func(j *job, n uint64) int { return cmp.Compare(j.number, n) })
}

// after returns the first job with a higher number; nil if there is none.
func (q *jobs) after(number uint64) *job {
	at, _ := q.find(number + 1)
	if at == len(q.list) {
		return nil
	}
	return q.list[at]
}

// remove takes j out of the list for a worker.
func (q *jobs) remove(j *job) {
	at, _ := q.find(j.number)
	q.list = slices.Delete(q.list, at, at+1)
	j.taken = true
	q.count(j, -1)
	if len(q.list) == 0 {
		q.list = nil // an idle socket keeps no memory
	}
}

// giveBack returns a job that its worker did not finish to its old place, and offers it to
// all workers.
func (q *jobs) giveBack(j *job) {
	at, _ := q.find(j.number)
	q.list = slices.Insert(q.list, at, j)
	j.taken = false
	q.count(j, 1)
	for _, w := range q.workers {
		w.restart(q, min(w.seen, j.number-1))
	}
}

// restart has the jobs after number seen offered to w again.
func (w *worker) restart(q *jobs, seen uint64) {
	w.seen = seen
	w.version++
	if w.idle {
		q.rouse(w)
	}
}

// hand gives an idle worker a job.
func (q *jobs) hand(w *worker, j *job) {
	q.remove(j)
	w.given = j
	q.rouse(w)
}

// rest makes w idle until something wakes it.
func (q *jobs) rest(w *worker) {
	w.idle = true
	q.idle = append(q.idle, w)
}

// rouse ends the rest of w.
func (q *jobs) rouse(w *worker) {
	w.idle = false
	at := slices.Index(q.idle, w)
	q.idle = slices.Delete(q.idle, at, at+1)
	w.wake <- struct{}{}
}

// join adds a worker.
func (q *jobs) join(st *stream) *worker {
	w := &worker{st: st, wake: make(chan struct{}, 1)}
	q.workers[st] = w
	return w
}

// leave removes a worker and returns the job that it was given and has not begun.
func (q *jobs) leave(st *stream) *job {
	w := q.workers[st]
	delete(q.workers, st)
	w.stopped = true
	if w.idle {
		q.rouse(w)
	}
	j := w.given
	w.given = nil
	return j
}
