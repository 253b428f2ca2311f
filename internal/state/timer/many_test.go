package timer

import (
	"encoding/binary"
	"testing"

	"github.com/leat-io/leat/state/backend"
	"github.com/leat-io/leat/types"
)

// burst registers n timers as windows or programs do: at the next ends of windows or within a
// minute, each several times, some of them deleted, while the watermark follows.
func (p *pair) burst(n, times int) {
	p.t.Helper()
	aligned, ascending := p.r.IntN(2) == 0, p.r.IntN(4) == 0
	key := p.r.Uint64() >> 1
	for i := range n {
		if i%times == 0 {
			if key++; !ascending {
				key = p.r.Uint64()
			}
		}
		t := backend.Timer{Timestamp: p.now + int64(key%60_000), Hash: types.Mix64(key)}
		if aligned {
			t.Timestamp = (p.now/1000+1+int64(key%7))*1000 - 1
		}
		switch t.Words = [2]uint64{key, key}; p.layout.KeyWords {
		case 0:
			t.Bytes = binary.LittleEndian.AppendUint64([]byte("key "), key)
		case 2:
			t.Words[0] = 7
		}
		t.Namespace = [2]uint64{uint64(t.Timestamp - 1000), uint64(t.Timestamp + 1)}
		must(p.t, p.service.Register(&t))
		must(p.t, p.oracle.Register(&t))
		if times > 1 && p.r.IntN(8) == 0 {
			p.service.Delete(&t)
			p.oracle.Delete(&t)
		}
		if i%1024 == 1023 {
			p.now += p.r.Int64N(500)
			for p.take(p.now, 1+p.r.IntN(2000)) {
			}
		}
	}
}

// Goal: logs that grow long before they are sorted, because few timers are registered twice,
// and buckets of many chunks fire right, also when timers begin to be repeated and deleted,
// and while images are copied. Method: bursts of timers as windows and programs register them,
// between snapshots, against the naive service.
func TestManyTimers(t *testing.T) {
	patient, impatient := 0, 0
	for _, layout := range []backend.TimerLayout{
		{KeyWords: 1}, {KeyWords: 1, NamespaceWords: 2}, {KeyWords: 2, NamespaceWords: 1}, {},
	} {
		t.Run(layoutName(layout), func(t *testing.T) {
			for seed := range uint64(2) {
				t.Logf("seed %d", seed)
				c := newChain(newPair(t, layout, seed, 1<<20))
				for i := range 6 {
					c.burst(12_000, 1+i%2*(4+c.r.IntN(10)))
					if c.service.patient {
						patient++
					} else {
						impatient++
					}
					if i%3 == 1 {
						c.snapshot()
					}
				}
				c.drain()
				if c.service.memory.bytes > 8<<20 {
					t.Errorf("%d bytes without timers", c.service.memory.bytes)
				}
			}
		})
	}
	if patient == 0 || impatient == 0 {
		t.Errorf("%d times patient, %d times not", patient, impatient)
	}
}
