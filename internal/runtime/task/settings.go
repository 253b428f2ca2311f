package task

import (
	"time"

	"github.com/leat-io/leat/config"
)

// BufferTimeout is how long a record waits at most in an output that does not fill while the
// task is busy; with nothing to do it leaves at once.
var BufferTimeout = config.Duration("execution.buffer-timeout.interval", 100*time.Millisecond,
	"How long a record may wait in a batch that is not full while its task is busy.",
	"execution.buffer-timeout")
