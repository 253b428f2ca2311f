package fault

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/leat-io/leat/filesystem"
)

// Op names an operation of a store, a writer or a reader.
type Op string

// The operations in which faults can be injected. Methods not listed (Abort, Close, Size, Scheme)
// are passed through.
const (
	OpOpen            Op = "open"
	OpReadAt          Op = "read-at"
	OpCreate          Op = "create"
	OpWrite           Op = "write"
	OpPrepare         Op = "prepare"
	OpCreateIfAbsent  Op = "create-if-absent"
	OpPublish         Op = "publish"
	OpDiscard         Op = "discard"
	OpList            Op = "list"
	OpListInProgress  Op = "list-in-progress"
	OpStat            Op = "stat"
	OpRemove          Op = "remove"
	OpRemoveEmptyDirs Op = "remove-empty-dirs"
)

var ops = []Op{
	OpOpen, OpReadAt, OpCreate, OpWrite, OpPrepare, OpCreateIfAbsent, OpPublish, OpDiscard,
	OpList, OpListInProgress, OpStat, OpRemove, OpRemoveEmptyDirs,
}

// ErrInjected is the error of a rule that names none.
var ErrInjected = errors.New("injected fault")

// Call describes one call of an operation.
type Call struct {
	Op Op
	// Path is the path given to the operation. For writers, readers, Publish and Discard it is the
	// path of the object; empty for a token that no wrapper with this plan has prepared.
	Path filesystem.Path
	// Hit is the number of this call among those its rule matches, from 1.
	Hit int
}

// Rule is one scripted fault: which calls it matches and what it does to them.
type Rule struct {
	// Name identifies the rule in Plan.Hits. Default: its operation and glob.
	Name string
	// Op selects an operation; empty matches every one.
	Op Op
	// Glob selects paths, in the syntax of path.Match. With a "/" it must match the whole path,
	// without one the last element. Empty matches every path.
	Glob string
	// Hit is the number of the matching call to act on, from 1. 0 acts on every one.
	Hit int

	// Wait, if set, is called before the operation, without any lock held: it adds latency or lets
	// a test act in between. The operation is not done if it returns an error.
	Wait func(ctx context.Context, call Call) error
	// Before, if set, is returned instead of doing the operation.
	Before error
	// After, if set, is returned in place of the answer of the operation, which has been done: the
	// answer is lost. The answer of an operation that failed by itself is lost too. For listings it
	// comes after the last entry; what Open and Create returned is closed and aborted.
	After error
}

// Plan is a script of faults with its counters. Wrappers can share a plan, and it can outlive them:
// after a simulated restart the next wrapper goes on with it. Safe for concurrent use.
type Plan struct {
	rules []Rule
	mu    struct {
		sync.Mutex
		hits  []int                      // calls matched so far, by index of the rule
		calls map[Op]int                 // all calls so far
		paths map[string]filesystem.Path // by token
	}
}

// NewPlan returns a plan of the given rules. Each call is given to the rules in their order. All of
// those that match count it; the first one that acts and returns an error decides. A rule that
// only counts, with neither Wait, Before nor After, is allowed. Errors: a bad rule.
func NewPlan(rules ...Rule) (*Plan, error) {
	p := &Plan{rules: slices.Clone(rules)}
	for i := range p.rules {
		r := &p.rules[i]
		if r.Op != "" && !slices.Contains(ops, r.Op) {
			return nil, fmt.Errorf("fault: rule %d: unknown operation %q", i, r.Op)
		}
		if _, err := path.Match(r.Glob, ""); err != nil {
			return nil, fmt.Errorf("fault: rule %d: glob %q: %w", i, r.Glob, err)
		}
		if r.Hit < 0 {
			return nil, fmt.Errorf("fault: rule %d: hit %d is below 0", i, r.Hit)
		}
		if r.Name == "" {
			r.Name = strings.TrimSpace(string(r.Op) + " " + r.Glob)
		}
	}
	p.mu.hits = make([]int, len(rules))
	p.mu.calls = make(map[Op]int)
	p.mu.paths = make(map[string]filesystem.Path)
	return p, nil
}

// Hits returns how many calls the rules of that name have matched, acted on or not. A test that
// ends with 0 has not injected what it meant to.
func (p *Plan) Hits(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for i, r := range p.rules {
		if r.Name == name {
			n += p.mu.hits[i]
		}
	}
	return n
}

// Calls returns how often the operation was called, faulty or not.
func (p *Plan) Calls(op Op) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.calls[op]
}

// acting is a rule that matches a call and acts on it.
type acting struct {
	*Rule
	call Call
}

// match counts a call and returns the rules that act on it.
func (p *Plan) match(op Op, target filesystem.Path) []acting {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.calls[op]++
	var act []acting
	for i := range p.rules {
		r := &p.rules[i]
		if !r.matches(op, target) {
			continue
		}
		p.mu.hits[i]++
		if hit := p.mu.hits[i]; r.Hit == 0 || r.Hit == hit {
			act = append(act, acting{r, Call{Op: op, Path: target, Hit: hit}})
		}
	}
	return act
}

func (r *Rule) matches(op Op, target filesystem.Path) bool {
	if r.Op != "" && r.Op != op {
		return false
	}
	if r.Glob == "" {
		return true
	}
	if !strings.Contains(r.Glob, "/") {
		target = path.Base(target)
	}
	ok, _ := path.Match(r.Glob, target) // NewPlan has checked the glob.
	return ok
}

// do runs one operation under the plan and returns its error or the injected one.
func (p *Plan) do(ctx context.Context, op Op, target filesystem.Path, effect func() error) error {
	act := p.match(op, target)
	for _, r := range act {
		if r.Wait != nil {
			if err := r.Wait(ctx, r.call); err != nil {
				return injected(r.call, "before", err)
			}
		}
		if r.Before != nil {
			return injected(r.call, "before", r.Before)
		}
	}
	err := effect()
	for _, r := range act {
		if r.After != nil {
			return injected(r.call, "after", r.After)
		}
	}
	return err
}

func injected(c Call, when string, err error) error {
	return fmt.Errorf("fault: %s %q: %s effect of hit %d: %w", c.Op, c.Path, when, c.Hit, err)
}

func (p *Plan) remember(token filesystem.Token, target filesystem.Path) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.paths[string(token)] = target
}

func (p *Plan) pathOf(token filesystem.Token) filesystem.Path {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.paths[string(token)]
}
