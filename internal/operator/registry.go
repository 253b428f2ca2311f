package operator

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Registry resolves operator kinds and edge shapes of this process. It is filled while
// the program builds its graph and read by tasks; safe for concurrent use.
type Registry struct {
	factories named[Factory]
	outputs   named[OutputFactory]
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	r := &Registry{}
	r.factories.what, r.outputs.what = "kind", "edge shape"
	return r
}

// Register adds a factory; a kind can be taken once.
func (r *Registry) Register(kind string, f Factory) error { return r.factories.add(kind, f) }

// RegisterOutput adds the factory of an edge shape; a shape can be taken once.
func (r *Registry) RegisterOutput(shape string, f OutputFactory) error {
	return r.outputs.add(shape, f)
}

// Factory returns the factory of a kind.
func (r *Registry) Factory(kind string) (Factory, error) { return r.factories.get(kind) }

// Output returns the factory of an edge shape.
func (r *Registry) Output(shape string) (OutputFactory, error) { return r.outputs.get(shape) }

// named are factories by name.
type named[F any] struct {
	what string // what the names are, for errors
	mu   struct {
		sync.Mutex
		byName map[string]F
	}
}

func (n *named[F]) add(name string, f F) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, taken := n.mu.byName[name]; taken {
		return fmt.Errorf("operator: register %s %q: already registered", n.what, name)
	}
	if n.mu.byName == nil {
		n.mu.byName = map[string]F{}
	}
	n.mu.byName[name] = f
	return nil
}

func (n *named[F]) get(name string) (F, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f, ok := n.mu.byName[name]
	if !ok {
		return f, fmt.Errorf("operator: resolve %s %q: this program registers %v",
			n.what, name, slices.Sorted(maps.Keys(n.mu.byName)))
	}
	return f, nil
}

// Failure keeps the first error of a chain. All methods are safe for concurrent use; Failed
// is cheap enough to ask per record. The task looks after every element and before it rests:
// setting it from another goroutine does not wake a task at rest.
type Failure struct {
	first atomic.Pointer[error]
	set   atomic.Uint32 // 1 once first is set: a plain load, which the compiler puts in line
}

// Set records err when it is the first.
func (f *Failure) Set(err error) {
	if err != nil {
		f.first.CompareAndSwap(nil, &err)
		f.set.Store(1)
	}
}

// Failed reports whether an error was recorded.
func (f *Failure) Failed() bool { return f.set.Load() != 0 }

// Err returns the recorded error or nil.
func (f *Failure) Err() error {
	if p := f.first.Load(); p != nil {
		return *p
	}
	return nil
}

// Counters are named counters of a task. Counter is called while building; the returned
// counter is safe for concurrent use.
type Counters struct {
	mu struct {
		sync.Mutex
		byName map[string]*atomic.Uint64
	}
}

// Counter returns the counter of a name, making it at zero.
func (c *Counters) Counter(name string) *atomic.Uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.byName == nil {
		c.mu.byName = map[string]*atomic.Uint64{}
	}
	n, ok := c.mu.byName[name]
	if !ok {
		n = new(atomic.Uint64)
		c.mu.byName[name] = n
	}
	return n
}

// Read returns all values.
func (c *Counters) Read() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]uint64, len(c.mu.byName))
	for name, n := range c.mu.byName {
		out[name] = n.Load()
	}
	return out
}
