package fanout

import "github.com/zwsbridge/zwsbridge/bridge/internal/queue"

// noBacklog is the part of a queue that hubs without a log do not use.
type noBacklog struct{}

func (noBacklog) Write()                    {}
func (noBacklog) SetBacklog(queue.Backlog)  {}
func (noBacklog) FallBehind()               {}
func (noBacklog) Behind() bool              { return false }
func (noBacklog) Holds() (bool, bool)       { return false, false }
func (noBacklog) CaughtUp() uint64          { return 0 }
func (noBacklog) Skipped() uint64           { return 0 }
func (noBacklog) Lose(uint64)               {}
func (noBacklog) Missing() []byte           { return nil }
func (noBacklog) Refresh()                  {}
func (noBacklog) Idle() bool                { return false }
func (noBacklog) Given(dst []byte) []byte   { return dst }
func (noBacklog) Insert(queue.Puller) error { return nil }
func (noBacklog) Gap([]byte)                {}
