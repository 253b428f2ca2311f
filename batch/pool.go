package batch

import (
	"sync"

	"github.com/leat-io/leat/types"
)

// Pool recycles batches of one schema: last in, first out, so that a batch comes back while it is
// in the caches. Safe for concurrent use.
type Pool struct {
	schema *types.Schema
	rows   int
	limit  int

	mu struct {
		sync.Mutex
		idle []*Columns
	}
}

// NewPool returns a pool of batches of rows rows that keeps at most limit idle ones, for which
// [New] must accept schema and rows.
func NewPool(schema *types.Schema, rows, limit int) *Pool {
	p := &Pool{schema: schema, rows: rows, limit: limit}
	p.mu.idle = make([]*Columns, 0, limit)
	return p
}

// Schema returns the schema of the batches.
func (p *Pool) Schema() *types.Schema { return p.schema }

// Get returns an empty batch with one reference, whose last Release returns it to the pool.
func (p *Pool) Get() *Columns {
	if c := p.take(); c != nil {
		c.references.Store(1)
		return c
	}
	c := New(p.schema, p.rows)
	c.pool = p
	return c
}

func (p *Pool) take() *Columns {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.mu.idle) - 1
	if last < 0 {
		return nil
	}
	c := p.mu.idle[last]
	p.mu.idle[last] = nil
	p.mu.idle = p.mu.idle[:last]
	return c
}

// put keeps c, or leaves it to the garbage collector when the pool is full.
func (p *Pool) put(c *Columns) {
	c.Reset()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mu.idle) < p.limit {
		p.mu.idle = append(p.mu.idle, c)
	}
}
