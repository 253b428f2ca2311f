// Package lifecycle owns every goroutine of Leat: the statement go is written here and nowhere
// else.
//
// A [Group] is a named set of goroutines with one context. Its life:
//
//  1. NewGroup derives the group's context from the caller's.
//  2. Go starts goroutines, from outside or from a goroutine of the group.
//  3. The first failure, Stop, or the end of the caller's context ends the group's context.
//     Every goroutine returns soon after.
//  4. Wait returns when none of them runs any more. From then on Go starts nothing.
//
// An owner's Close is Stop, then Wait. A panic in a goroutine fails the group with an internal
// fault carrying the stack; it is the one place where panics are recovered. The package does not
// restart anything and does not log.
//
// All methods may be called from any goroutine, except Wait from a goroutine of the group itself,
// which would wait for ever.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"sync"

	"github.com/leat-io/leat/internal/base/fault"
)

// ErrStopped is the cause of a group's context that was ended by Stop.
var ErrStopped = errors.New("goroutine group stopped")

// errFinished is the cause of a context that was released because all goroutines had returned.
var errFinished = errors.New("goroutine group finished")

// Group is a named set of goroutines with one context and one outcome.
type Group struct {
	name   string
	ctx    context.Context // bounds the life of the group's goroutines
	cancel context.CancelCauseFunc
	mu     struct {
		sync.Mutex
		running map[*string]struct{} // names of the goroutines which have not returned
		err     error                // first failure
		closed  bool                 // Wait has returned or Stop was called: Go refuses
		idle    *sync.Cond           // signalled when running becomes empty
	}
}

// NewGroup returns an empty group whose context ends with ctx. The name appears in faults and
// profiles. The caller must end the group with Stop or Wait, else its context leaks.
func NewGroup(ctx context.Context, name string) *Group {
	g := &Group{name: name}
	g.ctx, g.cancel = context.WithCancelCause(ctx)
	g.mu.running = make(map[*string]struct{})
	g.mu.idle = sync.NewCond(&g.mu.Mutex)
	return g
}

// Name returns the name given to NewGroup.
func (g *Group) Name() string { return g.name }

// Context returns the group's context. Its cause is the first failure, ErrStopped, or the cause of
// the caller's context.
func (g *Group) Context() context.Context { return g.ctx }

// Go runs f in a new goroutine with the group's context and reports whether it did: after Stop,
// and once Wait has returned, it starts nothing and returns false. A failure of another goroutine
// does not make Go refuse; f then finds its context ended.
//
// An error returned by f fails the group, unless the group's context has ended and the error only
// tells that (it wraps the context's error or cause). A panic in f fails the group with an
// internal fault.
func (g *Group) Go(name string, f func(ctx context.Context) error) bool {
	key := &name
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.closed {
		return false
	}
	g.mu.running[key] = struct{}{}
	go g.run(key, f)
	return true
}

// Stop ends the group's context with the cause ErrStopped and returns at once. It may be called
// again, and before or after a failure.
func (g *Group) Stop() {
	g.mu.Lock()
	g.mu.closed = true
	g.mu.Unlock()
	g.cancel(ErrStopped)
}

// Wait returns when no goroutine of the group runs, with the first failure or nil. A group that
// was stopped, or whose caller's context ended, has not failed by that. Wait may be called again.
func (g *Group) Wait() error {
	g.mu.Lock()
	for len(g.mu.running) > 0 {
		g.mu.idle.Wait()
	}
	g.mu.closed = true
	err := g.mu.err
	g.mu.Unlock()
	g.cancel(errFinished)
	return err
}

// Running returns the sorted names of the goroutines which have not returned, for a message about
// a close that takes long.
func (g *Group) Running() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	names := make([]string, 0, len(g.mu.running))
	for name := range g.mu.running {
		names = append(names, *name)
	}
	slices.Sort(names)
	return names
}

// run is the body of every goroutine.
func (g *Group) run(name *string, f func(ctx context.Context) error) {
	// Set when the deferred call below is reached by return, not by panic or runtime.Goexit.
	returned := false
	var err error
	defer func() {
		if !returned {
			err = g.faultOf(*name, recover())
		} else if err != nil && g.obeys(err) {
			err = nil
		}
		g.finish(name, err)
	}()
	ctx := pprof.WithLabels(g.ctx, pprof.Labels("group", g.name, "goroutine", *name))
	pprof.SetGoroutineLabels(ctx)
	err = f(ctx)
	returned = true
}

// faultOf returns the fault of a goroutine that did not return; v is what recover returned.
func (g *Group) faultOf(name string, v any) error {
	if v == nil {
		err := fmt.Errorf("goroutine %q of %q ended by runtime.Goexit", name, g.name)
		return fault.Internal(err)
	}
	return fmt.Errorf("goroutine %q of %q: %w", name, g.name, fault.FromPanic(v, debug.Stack()))
}

// finish records the outcome of a goroutine. The first failure ends the context before the
// goroutine counts as returned, so that whoever waits sees both.
func (g *Group) finish(name *string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil && g.mu.err == nil {
		g.mu.err = err
		g.cancel(err)
	}
	delete(g.mu.running, name)
	if len(g.mu.running) == 0 {
		g.mu.idle.Broadcast()
	}
}

// obeys reports whether err only tells that the group's context has ended.
func (g *Group) obeys(err error) bool {
	ended := g.ctx.Err()
	return ended != nil && (errors.Is(err, ended) || errors.Is(err, context.Cause(g.ctx)))
}
