package mini

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/leat-io/leat/internal/base/fault"
	"github.com/leat-io/leat/internal/protocol"
)

// linkMessages bounds the messages on their way to one role. Each task has a handful at
// most, so only a role that no longer reads lets it fill, and then the job fails: a sender
// never waits, since senders are task goroutines and the roles themselves.
const linkMessages = 1 << 16

// link is the way to one role. Messages are encoded, so that no pointer passes, and arrive
// in the order of send. Safe for concurrent use.
type link struct {
	// wake has room for one token: it says that there is something, not how much.
	wake chan struct{}
	mu   struct {
		sync.Mutex
		queue [][]byte
		err   error // why a message was lost
	}
}

func newLink() *link { return &link{wake: make(chan struct{}, 1)} }

func (l *link) send(e *protocol.Envelope) {
	encoded, err := proto.Marshal(e)
	l.mu.Lock()
	switch {
	case err != nil:
		err = fault.Internal(fmt.Errorf("encode message from %q to %q: %w", e.From, e.To, err))
	case len(l.mu.queue) >= linkMessages:
		err = fault.Internal(fmt.Errorf("%q does not read: %d messages wait", e.To, linkMessages))
	default:
		l.mu.queue = append(l.mu.queue, encoded)
	}
	if l.mu.err == nil {
		l.mu.err = err
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// receive returns what has arrived, decoded. The error says that messages were lost.
func (l *link) receive() ([]*protocol.Envelope, error) {
	l.mu.Lock()
	queue, err := l.mu.queue, l.mu.err
	l.mu.queue = nil
	l.mu.Unlock()
	if err != nil {
		return nil, err
	}
	messages := make([]*protocol.Envelope, len(queue))
	for i, encoded := range queue {
		messages[i] = &protocol.Envelope{}
		if err := proto.Unmarshal(encoded, messages[i]); err != nil {
			return nil, fault.Internal(fmt.Errorf("decode message: %w", err))
		}
	}
	return messages, nil
}
