package queue

import (
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// noHistory is the part of a batch that tests without a history do not use.
type noHistory struct{}

func (noHistory) Replayed(zmtp.Message, []byte, time.Time) error { panic("nothing is replayed") }
func (noHistory) Resumed([]byte, bool, bool) error               { panic("nothing is resumed") }
func (noHistory) Live([]byte) error                              { panic("nothing is resumed") }
