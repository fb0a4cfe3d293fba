package config

import "time"

// History is the table [history]: where routes with a [route.history] table keep messages.
type History struct {
	Store string        `toml:"store"` // StoreMemory, StoreFile or StoreNATS
	Dir   Path          `toml:"dir"`   // StoreFile: a directory
	Sync  time.Duration `toml:"sync"`  // StoreFile: at most so long between write and fsync; 0 = before delivery
	NATS  HistoryNATS   `toml:"nats"`  // StoreNATS
}

// HistoryNATS is the table [history.nats]: the NATS servers with JetStream by which bridges share
// what routes keep.
type HistoryNATS struct {
	Servers      []string      `toml:"servers"`
	Credentials  Path          `toml:"credentials"` // a .creds file
	User         string        `toml:"user"`
	PasswordFile Path          `toml:"password_file"`
	CA           Path          `toml:"ca"` // of the servers; empty means the system's
	Cert         Path          `toml:"cert"`
	Key          Path          `toml:"key"`
	Name         string        `toml:"name"`     // bridges with the same one share their routes
	Replicas     int           `toml:"replicas"` // on how many servers everything is kept
	Lease        time.Duration `toml:"lease"`    // a bridge that reads the backends and is not heard of for so long is replaced
}

// RouteHistory is the table [route.history]: what a route keeps of what its backends publish.
type RouteHistory struct {
	Topics        []string       `toml:"topics"`    // prefixes that are kept; without any, nothing is
	MaxBytes      Size           `toml:"max_bytes"` // of messages and last values together
	MaxAge        *time.Duration `toml:"max_age"`   // 0 = no bound; nil means 10 minutes, or QueueAge with QueueUser
	LastValue     string         `toml:"last_value"`
	LastValueAge  time.Duration  `toml:"last_value_age"`  // 0 = no bound
	MaxLastValues int            `toml:"max_last_values"` // topics

	Queue            string        `toml:"queue"`     // "" or QueueUser
	QueueAge         time.Duration `toml:"queue_age"` // a queue that was not used for so long is deleted; 0 = never
	MaxQueuesPerUser int           `toml:"max_queues_per_user"`
}

// Kept reports whether the route has a history.
func (h *RouteHistory) Kept() bool { return len(h.Topics) > 0 }

// The values of the words in history tables.
const (
	StoreMemory = "memory"
	StoreFile   = "file"
	StoreNATS   = "nats"

	LastValueOff    = "off"
	LastValueAsk    = "ask"
	LastValueAlways = "always"

	QueueUser = "user"
)
