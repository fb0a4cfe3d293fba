package route

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/fanout"
	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/history/filestore"
	"github.com/zwsbridge/zwsbridge/bridge/internal/history/natsstore"
)

// Archive is what a route has kept: the log of its messages and the permanent queues of its
// clients. It outlives the route where a reload replaces that by one with the same path. All
// methods may be called concurrently.
type Archive struct {
	Log    *history.Log
	Queues *history.Queues

	file      *history.QueueFile // nil without a directory
	returning *returning

	// The rest is used where bridges share the history.
	share *natsstore.Share
	lease time.Duration
	hub   atomic.Pointer[fanout.Hub] // that delivers what the share brings

	cluster atomic.Pointer[clustered] // of the route that has the hub
}

// archiveOptions are the part of the configuration that a reload can change in a live archive.
type archiveOptions struct {
	log       history.Options
	queueAge  time.Duration
	maxQueues int // of one user
}

// archiveStore is where an archive is kept; empty means in memory.
type archiveStore struct {
	dir  string
	sync time.Duration
	nats *natsstore.Options // nil if it is not shared with other bridges

	exclusive func() error // Options.Exclusive
}

// open opens the archive of the route with that path, or makes it. logger says which route.
func (s archiveStore) open(path string, o archiveOptions, logger *slog.Logger) (_ *Archive, err error) {
	a := &Archive{}
	defer func() {
		if err != nil {
			_ = a.Close()
		}
	}()
	queues := history.QueueOptions{Age: o.queueAge, MaxPerUser: o.maxQueues, Failed: func(err error) { stored(logger, "queues", err) }}
	if s.dir != "" {
		if s.exclusive != nil {
			if err := s.exclusive(); err != nil {
				return nil, err
			}
		}
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return nil, err
		}
		dir := filepath.Join(s.dir, filestore.DirName(path))
		failed := func(err error) { stored(logger, "old messages", err) }
		// A segment is deleted as a whole, so it has to be a small part of the log.
		segment := min(max(o.log.MaxBytes/16, 64<<10), 64<<20)
		if o.log.Store, err = filestore.Open(dir, filestore.Options{Sync: s.sync, SegmentBytes: segment, OnError: failed}); err != nil {
			return nil, err
		}
	}
	o.log.OnState = func(s history.State) { stored(logger, "messages", s.Err) }
	o.log.Replica = s.nats != nil
	if a.Log, err = history.New(o.log); err != nil {
		return nil, err
	}
	a.returning = newReturning(s.nats != nil || a.Log.Restored())
	if s.nats != nil {
		if err := a.join(*s.nats, path, o, logger); err != nil {
			return nil, err
		}
	}
	if s.dir != "" {
		if a.file, err = history.OpenQueueFile(filepath.Join(s.dir, filestore.DirName(path)+".queues")); err != nil {
			return nil, err
		}
		queues.Store = a.file.Route(path)
	}
	if a.share != nil {
		queues.Store, queues.Bridge, queues.Alive = a.share.Queues(), s.nats.Bridge, a.share.Alive
	}
	if a.Queues, err = history.OpenQueues(queues); err == nil && a.share != nil {
		a.share.FollowQueues(a.Queues)
	}
	return a, err
}

// stored logs that what of a history is not stored at present, or that it is again.
func stored(logger *slog.Logger, what string, err error) {
	if errors.Is(err, natsstore.ErrLoading) {
		logger.Info("history is being read", slog.String("what", what))
		return
	}
	if err != nil {
		logger.Error("history not stored", slog.String("what", what), slog.String("error", err.Error()))
		return
	}
	logger.Info("history stored again", slog.String("what", what))
}

// Close closes the archive. A memory archive is gone then.
func (a *Archive) Close() error {
	var err error
	if a.Queues != nil {
		err = a.Queues.Close()
	}
	if a.share != nil {
		err = errors.Join(err, a.share.Close())
	}
	if a.Log != nil {
		err = errors.Join(err, a.Log.Close())
	}
	if a.file != nil {
		err = errors.Join(err, a.file.Close())
	}
	return err
}

// update applies changed bounds.
func (a *Archive) update(o archiveOptions) {
	a.Log.Update(o.log)
	if a.share != nil {
		a.share.SetBounds(o.shared())
	}
	a.Queues.SetBounds(o.queueAge, o.maxQueues)
}

// Archive returns what the route keeps; nil if it keeps nothing.
func (r *Route) Archive() *Archive { return r.archive }

// Keep makes the route write to its archive, or not any more. Only one of the routes that have
// an archive writes to it.
func (r *Route) Keep(on bool) {
	if r.archive == nil {
		return
	}
	r.keeping.Store(on)
	switch u := r.upstream.(type) {
	case *shared:
		if h := u.hub(); h != nil {
			r.applyKeeping(h)
		}
	case *clustered:
		u.keep(on)
	}
}

// applyKeeping tells a hub of the route what it is to keep.
func (r *Route) applyKeeping(h *fanout.Hub) {
	if r.keeping.Load() {
		r.archive.hub.Store(h)
		h.Keep(r.Rules().archive.log.Topics)
	} else {
		r.archive.hub.CompareAndSwap(h, nil)
		h.Keep(nil)
	}
}

// keptIn returns the log of the archive; nil if there is none.
func (r *Route) keptIn() *history.Log {
	if r.archive == nil {
		return nil
	}
	return r.archive.Log
}
