package coordinator

import (
	"fmt"
	"time"
)

// requestedAttempts is how often a final or stop checkpoint is tried.
const requestedAttempts = 4

// retryPause is the time to the second attempt of a final or stop checkpoint; it doubles
// from attempt to attempt.
const retryPause = 500 * time.Millisecond

// failures counts checkpoints that failed since the last one completed. A checkpoint fails
// once: after that its id means nothing any more, so that ids counted are distinct.
type failures struct {
	periodic  int
	requested int // attempts of the final or stop checkpoint
}

// failed counts a checkpoint that was declined, timed out or could not be published, and
// decides whether the job goes on. Savepoints do not count: whoever asked has been told. The
// sources go on after one to stop with, unless they have ended the input for it, which only a
// restart takes back.
func (c *Coordinator) failed(now time.Time, id uint64, kind Kind, reason string) []Effect {
	if kind.IsSavepoint() {
		if c.running && c.request.Drain {
			return c.failJob(fmt.Sprintf(
				"the input was ended for savepoint %d, which failed: %s", id, reason), false)
		}
		return nil
	}
	if !c.running {
		if kind == KindStop {
			c.policy.request(KindStop)
		}
		return nil
	}
	if kind == KindPeriodic {
		if c.failures.periodic++; c.failures.periodic <= c.options.TolerableFailures {
			return nil
		}
		return c.failJob(fmt.Sprintf(
			"checkpoint %d failed, %d in a row where %d are tolerated: %s",
			id, c.failures.periodic, c.options.TolerableFailures, reason), false)
	}
	if c.failures.requested++; c.failures.requested < requestedAttempts {
		c.policy.retry(kind, now.Add(retryPause<<(c.failures.requested-1)))
		return nil
	}
	return c.failJob(fmt.Sprintf("%s checkpoint failed %d times, last as checkpoint %d: %s",
		kind, c.failures.requested, id, reason), kind == KindStop)
}
