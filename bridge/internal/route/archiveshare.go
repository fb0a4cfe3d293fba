package route

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/history/natsstore"
)

// thisBridge is the name of this process among the bridges that share a history.
var thisBridge = newBridgeName()

func newBridgeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "bridge"
	}
	var id [4]byte
	rand.Read(id[:])
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(id[:]))
}

// join makes the archive a copy of what the bridges share.
func (a *Archive) join(o natsstore.Options, path string, options archiveOptions, logger *slog.Logger) (err error) {
	o.Route, o.Log, o.Logger, o.Bounds = path, a.Log, logger, options.shared()
	o.Deliver = func(b history.Batch) error {
		if h := a.hub.Load(); h != nil {
			return h.Replicate(b)
		}
		return a.Log.Replicate(b, nil)
	}
	o.Operate = func(request []byte) []byte {
		if c := a.cluster.Load(); c != nil {
			return c.operate(request)
		}
		return nil
	}
	a.lease = o.Lease
	a.share, err = natsstore.Open(o)
	return err
}

// shared is the part of the options that the bridges agree about.
func (o archiveOptions) shared() natsstore.Bounds {
	return natsstore.Bounds{Topics: o.log.Topics, MaxBytes: o.log.MaxBytes, MaxAge: o.log.MaxAge, QueueAge: o.queueAge}
}

// gap records that messages may be missing, and has clients notified.
func (a *Archive) gap(reason string) {
	if a.share != nil {
		a.share.Gap(reason) // the hubs of all bridges come to it
	} else if h := a.hub.Load(); h != nil {
		h.Gap(reason)
	} else {
		a.Log.Gap(reason)
	}
}

// Forget removes what is kept of topic, on all bridges that share the archive, and reports whether
// there was anything. The error says that they cannot be told at present.
func (a *Archive) Forget(topic []byte) (known bool, err error) {
	if a.share != nil {
		return a.share.Forget(topic)
	}
	return a.Log.Forget(topic), nil
}

// Leader returns the name of the bridge that reads the backends. ok is false if the archive is not
// shared with other bridges.
func (a *Archive) Leader() (name string, ok bool) {
	if a.share == nil {
		return "", false
	}
	if leader, led := a.share.Leader(); led {
		name = leader.Bridge
	}
	return name, true
}

// Leading reports whether this bridge reads the backends.
func (a *Archive) Leading() bool { return a.share == nil || a.share.Leading() }

// Differs returns in what the configuration of this bridge differs from that of the bridge that reads
// the backends; nil if it does not, or if the archive is not shared.
func (a *Archive) Differs() error {
	if a.share == nil {
		return nil
	}
	return a.share.Differs()
}
