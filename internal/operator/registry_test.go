package operator_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/base/lifecycle/leaktest"
	"github.com/leat-io/leat/internal/operator"
	"github.com/leat-io/leat/internal/protocol"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

type factory struct{ name string }

func (factory) New(*operator.Env, []byte, any) (operator.Built, error) {
	return operator.Built{}, nil
}

type shape struct{ name string }

func (shape) NewOutput(*operator.Env, *protocol.Edge, operator.Channels) (
	any, operator.Output, error,
) {
	return nil, nil, nil
}

// Goal: a name resolves to what was registered under it, once, and an unknown one names
// those that exist. Method: both kinds of entries.
func TestRegistry(t *testing.T) {
	r := operator.NewRegistry()
	for _, name := range []string{"b", "a"} {
		if err := errors.Join(r.Register(name, factory{name}),
			r.RegisterOutput(name, shape{name})); err != nil {
			t.Fatal(err)
		}
	}
	if f, err := r.Factory("a"); err != nil || f != (factory{"a"}) {
		t.Errorf("factory %v: %v", f, err)
	}
	if o, err := r.Output("b"); err != nil || o != (shape{"b"}) {
		t.Errorf("output %v: %v", o, err)
	}
	if r.Register("a", factory{}) == nil || r.RegisterOutput("a", shape{}) == nil {
		t.Error("a name was taken twice")
	}
	_, errFactory := r.Factory("c")
	_, errOutput := r.Output("c")
	for _, err := range []error{errFactory, errOutput} {
		if err == nil || !strings.Contains(err.Error(), `"c": this program registers [a b]`) {
			t.Errorf("error %v does not list what exists", err)
		}
	}
}

// Goal: the first failure wins under concurrency, and counters add up. Method: many
// goroutines set and count.
func TestFailureAndCounters(t *testing.T) {
	var failure operator.Failure
	var counters operator.Counters
	if failure.Set(nil); failure.Failed() || failure.Err() != nil {
		t.Error("no error must be no failure")
	}
	first := errors.New("first")
	failure.Set(first)
	group := lifecycle.NewGroup(t.Context(), "test")
	for range 4 {
		group.Go("count", func(context.Context) error {
			failure.Set(errors.New("later"))
			for range 100 {
				counters.Counter("n").Add(1)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if failure.Err() != first || !failure.Failed() {
		t.Errorf("failure %v, want the first", failure.Err())
	}
	counters.Counter("zero")
	if diff := cmp.Diff(map[string]uint64{"n": 400, "zero": 0}, counters.Read()); diff != "" {
		t.Errorf("counters (-want +got):\n%s", diff)
	}
}
