package zws

import (
	"context"
	"errors"
	"testing"
)

// TestLifetime checks that a lifetime is a context like those of package context, whether it is used
// before or after its end.
func TestLifetime(t *testing.T) {
	cause := &CloseError{Code: CodeExpired}
	for _, before := range []bool{true, false} {
		var l lifetime
		child, stop := context.Context(&l), func() {}
		called := make(chan struct{})
		if before {
			child, stop = context.WithCancel(&l)
			context.AfterFunc(&l, func() { close(called) })
			if child.Err() != nil || l.Err() != nil || l.over() {
				t.Fatal("ended already")
			}
		}
		if !l.end(cause) || l.end(&CloseError{Code: CodeNormal}) {
			t.Error("not the first end counts")
		}
		if !before {
			child, stop = context.WithCancel(&l)
			context.AfterFunc(&l, func() { close(called) })
		}
		defer stop()
		<-called
		<-child.Done()
		<-l.Done()
		for _, ctx := range []context.Context{&l, child} {
			if !errors.Is(ctx.Err(), context.Canceled) || context.Cause(ctx) != cause {
				t.Errorf("used before the end: %t: %v, %v", before, ctx.Err(), context.Cause(ctx))
			}
		}
	}
}
