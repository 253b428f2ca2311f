package run

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/leat-io/leat/types"
)

// counted counts the bytes read from an object.
type counted struct {
	object io.ReaderAt
	bytes  int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.object.ReadAt(p, off)
	c.bytes += int64(n)
	return n, err
}

// Goal: a run can be looked into without reading all of it, and damage where it is read shows.
// Method: a run of 20,000 rows inside a larger object; find one hash through OpenAt, counting the
// bytes read; then damage every data block.
func TestOpenAt(t *testing.T) {
	const before, wanted = 77, uint32(10_000) << 16
	random := rand.New(rand.NewPCG(1, 2))
	var out bytes.Buffer
	out.Write(make([]byte, before))
	b := NewBuilder(&out)
	for i := range uint32(20_000) {
		value := make([]byte, 40)
		for j := range value {
			value[j] = byte(random.Uint32())
		}
		if err := b.Set(i<<16, []byte("key"), value); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Finish(); err != nil {
		t.Fatal(err)
	}
	object := out.Bytes()
	c := &counted{object: bytes.NewReader(object)}
	find := func() (found int, err error) {
		r, err := OpenAt(context.Background(), c, before, int64(len(object)-before))
		if err != nil {
			return 0, err
		}
		defer func() { _ = r.Close() }()
		merged := Merge([]Source{{Run: r, Bounds: types.AllHashes}},
			types.HashRange{Lo: wanted, Hi: wanted})
		for _, ok := merged.Next(); ok; _, ok = merged.Next() {
			found++
		}
		return found, merged.Err()
	}
	if found, err := find(); found != 1 || err != nil {
		t.Fatalf("found %d rows of one hash: %v", found, err)
	}
	if c.bytes > int64(len(object))/4 {
		t.Errorf("read %d bytes of %d for one row", c.bytes, len(object))
	}
	for at := before; at < len(object)*9/10; at += 1000 {
		object[at] ^= 1
	}
	if found, err := find(); err == nil {
		t.Errorf("damaged blocks gave %d rows and no error", found)
	}
}
