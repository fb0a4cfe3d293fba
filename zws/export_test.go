package zws

import "time"

func init() { attention = 25 * time.Millisecond }
