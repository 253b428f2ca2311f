package fault

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"testing"
)

// Goal: a mark is found through any wrapping, the outermost wins, and the text stays the cause's.
// Method: a table of marked and wrapped errors.
func TestDomainAndRetry(t *testing.T) {
	cause := io.ErrUnexpectedEOF
	tests := []struct {
		name   string
		err    error
		domain Domain
		retry  Retry
	}{
		{"nil", nil, None, RetryNever},
		{"nil user", User(nil), None, RetryNever},
		{"nil external", External(nil, RetryLater), None, RetryNever},
		{"nil internal", Internal(nil), None, RetryNever},
		{"unmarked", cause, DomainInternal, RetryNever},
		{"user", User(cause), DomainUser, RetryNever},
		{"external later", External(cause, RetryLater), DomainExternal, RetryLater},
		{"external never", External(cause, RetryNever), DomainExternal, RetryNever},
		{"internal", Internal(cause), DomainInternal, RetryNever},
		{"wrapped", fmt.Errorf("read: %w", External(cause, RetryLater)), DomainExternal,
			RetryLater},
		{"joined", errors.Join(io.EOF, User(cause)), DomainUser, RetryNever},
		{"outermost wins", User(External(cause, RetryLater)), DomainUser, RetryNever},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := DomainOf(test.err); got != test.domain {
				t.Errorf("domain %v, want %v", got, test.domain)
			}
			if got := RetryOf(test.err); got != test.retry {
				t.Errorf("retry %v, want %v", got, test.retry)
			}
			if test.err != nil && !errors.Is(test.err, cause) {
				t.Errorf("the cause is lost in %v", test.err)
			}
		})
	}
	if got := User(cause).Error(); got != cause.Error() {
		t.Errorf("a mark changed the text to %q", got)
	}
}

// Goal: a panic becomes an internal fault which keeps its cause and its stack, also below further
// marks. Method: panic values of both kinds, wrapped and marked again.
func TestFromPanic(t *testing.T) {
	stack := []byte("goroutine 1")
	err := FromPanic(io.EOF, stack)
	if DomainOf(err) != DomainInternal || !errors.Is(err, io.EOF) {
		t.Errorf("fault of an error: domain %v, error %v", DomainOf(err), err)
	}
	if got := FromPanic("boom", stack).Error(); got != "panic: boom" {
		t.Errorf("text %q", got)
	}
	outer := User(fmt.Errorf("map: %w", err))
	if got := StackOf(outer); string(got) != string(stack) {
		t.Errorf("stack %q, want %q", got, stack)
	}
	if DomainOf(outer) != DomainUser {
		t.Errorf("a panic in user code cannot be marked as the user's: %v", DomainOf(outer))
	}
	if StackOf(User(io.EOF)) != nil || StackOf(nil) != nil {
		t.Error("a stack without a panic")
	}
}

// Goal: names in logs are words, also for a value no constant has. Method: a table.
func TestNames(t *testing.T) {
	names := map[fmt.Stringer]string{
		None: "none", DomainUser: "user", DomainExternal: "external", DomainInternal: "internal",
		Domain(9): "Domain(9)", RetryNever: "never", RetryLater: "later", Retry(9): "Retry(9)",
	}
	for value, want := range names {
		if got := value.String(); got != want {
			t.Errorf("name %q, want %q", got, want)
		}
	}
}

// TestPanicPlace checks that the error of a panic names the function that panicked, for a
// panic of its own and for one of the runtime.
func TestPanicPlace(t *testing.T) {
	for name, f := range map[string]func(){
		"call":        func() { panic("no") },
		"nil pointer": func() { var p *int; *p = 1 },
		"index":       func() { s := []int{}; i := len(name()); s[i] = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			func() {
				defer func() { err = FromPanic(recover(), debug.Stack()) }()
				f()
			}()
			if !strings.Contains(err.Error(), "panic in fault.TestPanicPlace.func") ||
				!strings.Contains(err.Error(), "(fault_test.go:") {
				t.Fatalf("error %q does not name the place", err)
			}
		})
	}
}

func name() string { return "some" }
