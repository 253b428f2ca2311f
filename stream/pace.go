package stream

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/leat-io/leat/internal/base/clock"
	"github.com/leat-io/leat/internal/base/lifecycle"
	"github.com/leat-io/leat/internal/operator"
)

// pace holds a source to a rate: it may be behind it, never ahead. Without a rate everything
// is allowed at once.
type pace struct {
	perSecond int
	clock     clock.Clock
	start     time.Time
	taken     int64
	emitted   *atomic.Uint64 // the source's counter
	group     *lifecycle.Group
	armed     atomic.Bool
	signal    chan struct{} // capacity 1: one wake-up is enough for the one waiter
}

func (s sourceSettings[T]) pace(env *operator.Env) *pace {
	return &pace{
		perSecond: s.perSecond, clock: env.Clock, signal: make(chan struct{}, 1),
		emitted: env.Counters.Counter(operator.CounterSourceRecords),
	}
}

// allow returns how many of want records may be emitted now; wait means none, until ready.
func (p *pace) allow(want int) (n int, wait bool) {
	if p.perSecond <= 0 {
		return want, false
	}
	now := p.clock.Now()
	if p.start.IsZero() {
		p.start = now
	}
	due := int64(now.Sub(p.start).Seconds()*float64(p.perSecond)) + 1
	if due > p.taken {
		return int(min(int64(want), due-p.taken)), false
	}
	p.wakeAt(p.start.Add(time.Duration(float64(p.taken) / float64(p.perSecond) * 1e9)).Sub(now))
	return 0, true
}

func (p *pace) took(n int) {
	p.taken += int64(n)
	p.emitted.Add(uint64(n))
}

// minPause keeps a fast rate from waking the task for every single record.
const minPause = time.Millisecond

func (p *pace) wakeAt(after time.Duration) {
	if p.armed.Swap(true) {
		return // the task was woken by something else meanwhile
	}
	if p.group == nil {
		p.group = lifecycle.NewGroup(context.Background(), "source pace")
	}
	p.group.Go("wait", func(ctx context.Context) error {
		err := clock.Sleep(ctx, p.clock, max(after, minPause))
		p.armed.Store(false) // before the signal: the waiter may arm again at once
		if err == nil {
			select {
			case p.signal <- struct{}{}:
			default:
			}
		}
		return nil
	})
}

func (p *pace) ready() <-chan struct{} { return p.signal }

func (p *pace) close() error {
	if p.group == nil {
		return nil
	}
	p.group.Stop()
	return p.group.Wait()
}
