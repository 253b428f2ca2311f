package operator

import (
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
)

// Registry resolves operator kinds and edge shapes of this process. It is filled while
// the program builds its graph and read by tasks; safe for concurrent use.
type Registry struct {
	mu struct {
		sync.Mutex
		factories map[string]Factory
		outputs   map[string]OutputFactory
	}
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	r := &Registry{}
	r.mu.factories = map[string]Factory{}
	r.mu.outputs = map[string]OutputFactory{}
	return r
}

// Register adds a factory; a kind can be taken once.
func (r *Registry) Register(kind string, f Factory) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.mu.factories[kind]; taken {
		return fmt.Errorf("operator: register kind %q: already registered", kind)
	}
	r.mu.factories[kind] = f
	return nil
}

// RegisterOutput adds the factory of an edge shape; a shape can be taken once.
func (r *Registry) RegisterOutput(shape string, f OutputFactory) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.mu.outputs[shape]; taken {
		return fmt.Errorf("operator: register edge shape %q: already registered", shape)
	}
	r.mu.outputs[shape] = f
	return nil
}

// Factory returns the factory of a kind.
func (r *Registry) Factory(kind string) (Factory, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.mu.factories[kind]
	if !ok {
		return nil, fmt.Errorf("operator: resolve kind %q: this program registers %v",
			kind, names(r.mu.factories))
	}
	return f, nil
}

// Output returns the factory of an edge shape.
func (r *Registry) Output(shape string) (OutputFactory, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, ok := r.mu.outputs[shape]
	if !ok {
		return nil, fmt.Errorf("operator: resolve edge shape %q: this program registers %v",
			shape, names(r.mu.outputs))
	}
	return f, nil
}

func names[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
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
