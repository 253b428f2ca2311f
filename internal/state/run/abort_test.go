package run

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"
)

// Goal: a Builder can be given up while Pebble's goroutine writes blocks, and nothing is written
// afterwards. Method: rows that do not compress, given up after different numbers of blocks; the
// race detector sees the flag that was a plain field once.
func TestAbortWhileWriting(t *testing.T) {
	t.Log("seed 1")
	random, value := rand.New(rand.NewPCG(1, 0)), make([]byte, 512)
	for rows := range 200 {
		out := &closable{}
		b := NewBuilder(out)
		for i := range rows {
			for at := 0; at < len(value); at += 8 {
				binary.LittleEndian.PutUint64(value[at:], random.Uint64())
			}
			if err := b.Set(uint32(i), []byte("key"), value); err != nil {
				t.Fatal(err)
			}
		}
		b.Abort()
		out.closed = true
		b.Abort()
		if out.late {
			t.Fatalf("%d rows: bytes came after Abort", rows)
		}
	}
}

type closable struct{ closed, late bool }

func (c *closable) Write(p []byte) (int, error) {
	c.late = c.late || c.closed
	return len(p), nil
}

var _ io.Writer = (*closable)(nil)
