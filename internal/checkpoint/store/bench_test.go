package store

import (
	"fmt"
	"testing"

	"github.com/leat-io/leat/filesystem/local"
	"github.com/leat-io/leat/internal/checkpoint/meta"
)

// BenchmarkPublish measures a checkpoint's way from the last acknowledgement to the commit point
// and the sweep after it, on the local store, by the number of runs the metadata refers to.
func BenchmarkPublish(b *testing.B) {
	for _, runs := range []int{10, 1000} {
		b.Run(fmt.Sprintf("runs=%d", runs), func(b *testing.B) {
			m := begin(b, local.New(local.Options{Root: b.TempDir()}), 1)
			m.Retain(2)
			references := make([]string, 0, runs)
			for range runs {
				references = append(references, m.upload(b, m.next))
			}
			b.Run("publish", func(b *testing.B) {
				for b.Loop() {
					c := m.checkpoint(references...)
					if outcome, err := m.PublishCheckpoint(b.Context(), m.gen, c); err != nil {
						b.Fatal(outcome, err)
					}
					b.StopTimer()
					m.sweep(b)
					b.StartTimer()
				}
			})
			b.Run("sweep", func(b *testing.B) {
				for b.Loop() {
					m.sweep(b)
				}
			})
			c := m.checkpoint(references...)
			b.Run("encode", func(b *testing.B) {
				for b.Loop() {
					if _, err := meta.Encode(c); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
