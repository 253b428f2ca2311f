package main

import (
	"maps"
	"strings"
	"syscall"
	"testing"
)

func equalTrees(a, b map[string]string) bool { return maps.Equal(a, b) }

// kept reports files that were removed or changed.
func kept(t *testing.T, before, after map[string]string) {
	t.Helper()
	for name, content := range before {
		if now, ok := after[name]; !ok {
			t.Errorf("%s was removed", name)
		} else if now != content {
			t.Errorf("%s was changed", name)
		}
	}
}

const takenOver = `flights FENCED: another process took over the job "flights"; run one of`

// TestTwoProcesses runs two processes of one job name: the second continues what the first
// has done, the first stops and deletes nothing, and the files equal those of one undisturbed
// run.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	want := undisturbed(t)
	latest := append(rated(2, 1.2), "--from", "latest")
	t.Run("the second takes over", func(t *testing.T) {
		p := newPlace(t)
		first := start(t, "flights", p.flags(t, latest...)...)
		first.until("it committed a checkpoint", func() bool {
			return p.committed(t, "flights") >= 3
		})
		second := start(t, "flights", p.flags(t, latest...)...)
		first.expect(3, takenOver)
		second.expect(0, "FINISHED", "continued from checkpoint")
		compare(t, want, p.results(t, ""))
		checkNextStart(t, p)
	})
	t.Run("both at once", func(t *testing.T) {
		p := newPlace(t)
		one := start(t, "flights", p.flags(t, latest...)...)
		two := start(t, "flights", p.flags(t, latest...)...)
		winner, loser := one, two
		if one.wait().code != 0 {
			winner, loser = two, one
		}
		loser.expect(3, takenOver)
		winner.finish()
		compare(t, want, p.results(t, ""))
		checkNextStart(t, p)
	})
	t.Run("the second starts afresh", func(t *testing.T) {
		p := newPlace(t)
		first := start(t, "flights", p.flags(t, latest...)...)
		first.until("it committed a checkpoint", func() bool {
			return p.committed(t, "flights") >= 3
		})
		lineage := p.last(t, "flights").Lineage[:8]
		second := start(t, "flights", p.flags(t, rated(2, 1.2)...)...)
		first.expect(3, takenOver)
		committed := p.results(t, lineage)
		second.finish()
		compare(t, committed, p.results(t, lineage)) // nothing of the first was removed
		compare(t, want, p.results(t, p.last(t, "flights").Lineage[:8]))
	})
	t.Run("the first sleeps meanwhile", func(t *testing.T) {
		p := newPlace(t)
		first := start(t, "flights", p.flags(t, latest...)...)
		first.until("it committed a checkpoint", func() bool {
			return p.committed(t, "flights") >= 3
		})
		first.send(syscall.SIGSTOP)
		start(t, "flights", p.flags(t, "--from", "latest")...).
			expect(0, "FINISHED", "continued from checkpoint")
		checkpoints, out := tree(t, p.checkpoints), tree(t, p.out)
		first.send(syscall.SIGCONT)
		first.expect(3, takenOver)
		kept(t, checkpoints, tree(t, p.checkpoints))
		after := tree(t, p.out)
		kept(t, out, after)
		for name := range after {
			if _, ok := out[name]; !ok && !strings.HasSuffix(name, ".inprogress") {
				t.Errorf("%s came from a process that was taken over", name)
			}
		}
		compare(t, want, p.results(t, ""))
		checkNextStart(t, p)
	})
}

// checkNextStart checks that the next start removes what the process that was taken over has
// left behind, since that one must not remove anything.
func checkNextStart(t *testing.T, p place) {
	t.Helper()
	before := p.results(t, "")
	start(t, "flights", p.flags(t, "--from", "latest")...).
		expect(0, "FINISHED: 0 records read", "continued from checkpoint")
	compare(t, before, p.results(t, ""))
	checkLeftovers(t, p)
}
