package route

import (
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/history/natsstore"
)

// storeOf returns where archives are kept.
func storeOf(o *Options) archiveStore {
	h := &o.History
	switch h.Store {
	case config.StoreFile:
		return archiveStore{dir: string(h.Dir), sync: h.Sync, exclusive: o.Exclusive}
	case config.StoreNATS:
		return archiveStore{nats: newShareOptions(&h.NATS)}
	}
	return archiveStore{}
}

// newShareOptions returns how the bridges find each other.
func newShareOptions(h *config.HistoryNATS) *natsstore.Options {
	return &natsstore.Options{
		Server: natsstore.Server{
			URLs: h.Servers, Credentials: string(h.Credentials), User: h.User, Password: string(h.PasswordFile),
			CA: string(h.CA), Cert: string(h.Cert), Key: string(h.Key),
		},
		Name: h.Name, Replicas: h.Replicas, Lease: h.Lease, Bridge: thisBridge,
	}
}

// newArchiveOptions returns what a route keeps.
func newArchiveOptions(h *config.RouteHistory) archiveOptions {
	o := history.Options{
		MaxBytes:      int64(h.MaxBytes),
		LastValues:    h.LastValue != config.LastValueOff,
		LastValueAge:  h.LastValueAge,
		MaxLastValues: h.MaxLastValues,
	}
	if h.MaxAge != nil {
		o.MaxAge = *h.MaxAge
	}
	for _, topic := range h.Topics {
		o.Topics = append(o.Topics, []byte(topic))
	}
	return archiveOptions{o, h.QueueAge, h.MaxQueuesPerUser}
}
