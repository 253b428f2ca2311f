package batch

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestInterner checks that an interner returns the text of every view, whatever came before,
// that what it returned stays as it was, and that a repeated string costs no allocation.
func TestInterner(t *testing.T) {
	const seed = 7
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var in Interner
	got, want := []string{}, []string{}
	for range 20_000 {
		text := fmt.Sprintf("%x", random.Uint64()>>(random.UintN(16)*4))[:1]
		for range random.IntN(InlineBytes) {
			text += string(rune('a' + random.IntN(3)))
		}
		if random.IntN(50) == 0 {
			text = "\x00\x00"[:random.IntN(3)]
		}
		view := InlineView([]byte(text))
		got, want = append(got, in.of(&view)), append(want, text)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("string %d is %q, want %q", i, got[i], want[i])
		}
	}
	view := InlineView([]byte("ATL"))
	in.of(&view)
	if n := testing.AllocsPerRun(100, func() { in.of(&view) }); n != 0 {
		t.Errorf("a repeated string costs %v allocations", n)
	}
}
