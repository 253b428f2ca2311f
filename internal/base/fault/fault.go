// Package fault gives an error the two facts the engine acts on: whose fault it is (the domain)
// and whether doing the same again may help (the retry hint).
//
// Every error that crosses a task boundary carries a [Domain]. The place which knows the cause
// marks it with [User], [External] or [Internal]; the place which acts asks [DomainOf] and
// [RetryOf]. A mark adds nothing to the error text and stays visible through %w, errors.Is and
// errors.As. [FromPanic] turns a recovered panic into an internal fault that keeps its stack.
//
// The package decides nothing: restart strategies and exit codes live with their owners.
//
// All functions are pure and may be called from any goroutine.
package fault

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Domain says whose fault an error is.
type Domain uint8

// The domains. None belongs to a nil error only.
const (
	None           Domain = iota
	DomainUser            // the job, its input, its settings: the user must change something
	DomainExternal        // a store, a broker, the network: something outside must recover
	DomainInternal        // Leat itself: a bug or damaged state
)

// String returns the name used in messages and logs: none, user, external or internal.
func (d Domain) String() string {
	switch d {
	case None:
		return "none"
	case DomainUser:
		return "user"
	case DomainExternal:
		return "external"
	case DomainInternal:
		return "internal"
	}
	return "Domain(" + strconv.Itoa(int(d)) + ")"
}

// Retry is a hint to whoever could do the failed work again, unchanged.
type Retry uint8

// The retry hints.
const (
	RetryNever Retry = iota // the same attempt fails again
	RetryLater              // the same attempt may succeed after a pause
)

// String returns never or later.
func (r Retry) String() string {
	switch r {
	case RetryNever:
		return "never"
	case RetryLater:
		return "later"
	}
	return "Retry(" + strconv.Itoa(int(r)) + ")"
}

// Error is an error with its domain and retry hint. It prints as the error it wraps.
// It is immutable.
type Error struct {
	err    error
	stack  []byte
	domain Domain
	retry  Retry
}

// Error returns the text of the wrapped error.
func (e *Error) Error() string { return e.err.Error() }

// Unwrap returns the wrapped error.
func (e *Error) Unwrap() error { return e.err }

// Domain returns whose fault the error is.
func (e *Error) Domain() Domain { return e.domain }

// Retry returns whether doing the same again may help.
func (e *Error) Retry() Retry { return e.retry }

// Stack returns the stack of the panic the fault was made from, else nil. The caller must not
// change it.
func (e *Error) Stack() []byte { return e.stack }

// User marks err as the user's to correct; the hint is RetryNever. A nil err gives nil.
func User(err error) error { return mark(err, DomainUser, RetryNever) }

// External marks err as caused outside Leat, with the hint the caller knows. A nil err gives nil.
func External(err error, retry Retry) error { return mark(err, DomainExternal, retry) }

// Internal marks err as a fault of Leat itself; the hint is RetryNever. A nil err gives nil.
func Internal(err error) error { return mark(err, DomainInternal, RetryNever) }

func mark(err error, domain Domain, retry Retry) error {
	if err == nil {
		return nil
	}
	return &Error{err: err, domain: domain, retry: retry}
}

// FromPanic returns an internal fault for the value v of a recovered panic. A v that is an error
// stays reachable by errors.Is and errors.As. The fault keeps stack, which the caller must not
// change afterwards.
func FromPanic(v any, stack []byte) error {
	where := panicPlace(string(stack))
	var err error
	if cause, ok := v.(error); ok {
		err = fmt.Errorf("panic%s: %w", where, cause)
	} else {
		err = fmt.Errorf("panic%s: %v", where, v)
	}
	return &Error{err: err, stack: stack, domain: DomainInternal, retry: RetryNever}
}

// panicPlace returns " in f (file.go:12)" for the function that panicked, the first below the
// runtime's in a stack that a deferred function took, or "" when the stack does not tell.
func panicPlace(stack string) string {
	lines := strings.Split(stack, "\n")
	for i := 0; i < len(lines); i++ {
		if !strings.HasPrefix(lines[i], "panic(") {
			continue
		}
		for i += 2; i+1 < len(lines); i += 2 {
			function, _, _ := strings.Cut(lines[i], "(0x")
			function, _, _ = strings.Cut(function, "({")
			function, _, _ = strings.Cut(function, "(...)")
			function = path.Base(strings.TrimSuffix(function, "()"))
			if strings.HasPrefix(function, "runtime.") ||
				strings.HasPrefix(function, "invariant.") {
				continue
			}
			file, _, _ := strings.Cut(strings.TrimSpace(lines[i+1]), " ")
			return fmt.Sprintf(" in %s (%s)", function, path.Base(file))
		}
	}
	return ""
}

// DomainOf returns the domain of the outermost mark on err: who wraps last knows most. An error
// without a mark is internal, since an error nobody took charge of is our omission. The domain of
// nil is None.
func DomainOf(err error) Domain {
	if err == nil {
		return None
	}
	var marked *Error
	if errors.As(err, &marked) {
		return marked.domain
	}
	return DomainInternal
}

// RetryOf returns the hint of the outermost mark on err, and RetryNever for nil or without a mark.
func RetryOf(err error) Retry {
	var marked *Error
	if errors.As(err, &marked) {
		return marked.retry
	}
	return RetryNever
}

// StackOf returns the stack of the panic found anywhere below err, else nil. The caller must not
// change it.
func StackOf(err error) []byte {
	var marked *Error
	for errors.As(err, &marked) {
		if marked.stack != nil {
			return marked.stack
		}
		err = marked.err
	}
	return nil
}
