package main

import (
	"slices"
	"strings"
)

// byHand is what the job writes, worked out by hand from events.csv as follows.
//
// The watermark after an event is the largest time so far less 5 s less 1 ms. Only where it
// passes a line of the tables does it matter:
//
//	     event            watermark behind it
//	 1   alice 12:00:05   11:59:59.999
//	 2   bob   12:00:10   12:00:04.999
//	 3   alice 12:00:35   12:00:29.999
//	 4   bob   12:00:32   the same: 3 s behind, which is what the 5 s are for
//	 5   alice 12:00:59   12:00:53.999
//	 6   carol 12:01:10   12:01:04.999   minute 12:00 is over
//	 7   bob   12:01:40   12:01:34.999
//	 8   alice 12:02:05   12:01:59.999   minute 12:01 is over, to the millisecond
//	 9   alice 12:01:59   the same: 6 s behind, its minute is over
//	10   bob   12:02:20   12:02:14.999
//	11   carol 12:04:00   12:03:54.999
//	12   dave  12:09:58   12:09:52.999   all windows and timers below are over
//	13   bob   12:10:00   12:09:54.999
//	14   alice 12:10:30   12:10:24.999
//	15   alice 12:11:15   12:11:09.999
//	16   carol 12:12:00   12:11:54.999, then the end of the input, when all is over
//
// Minutes: count the events of a user by minute, without event 9, which is late. That makes 15.
//
// Minutes every 30 seconds: an event lies in the minute that begins with its half minute and in
// that which begins 30 s before. Event 9 finds 12:01:30 to 12:02:30 still open and counts
// there; 12:01:00 to 12:02:00 is over. It is not late for all its windows, so it is in no side
// output. That makes 2*16-1 = 31.
//
// Sessions: an event and what comes within 5 minutes. Event 9 lies within the first session of
// alice, which is open until 12:07:05. That makes 16.
//
// Counts: the first event of a count sets the timer, 5 minutes later; alice's at 12:05:05, bob's
// at 12:05:10 and carol's at 12:06:10 fire behind event 12, hence their next events begin at 1
// again. The timers of what began then, from 12:14:58 on, fire at the end of the input. A
// process function handles event 9 as any other: it is alice's fifth.
func byHand() map[string][]string {
	return map[string][]string{
		"late": {on("alice 12:01:59 50")},
		"tumbling": rows(`
			alice 12:00:00 12:01:00 3
			alice 12:02:00 12:03:00 1
			alice 12:10:00 12:11:00 1
			alice 12:11:00 12:12:00 1
			bob   12:00:00 12:01:00 2
			bob   12:01:00 12:02:00 1
			bob   12:02:00 12:03:00 1
			bob   12:10:00 12:11:00 1
			carol 12:01:00 12:02:00 1
			carol 12:04:00 12:05:00 1
			carol 12:12:00 12:13:00 1
			dave  12:09:00 12:10:00 1`),
		"sliding": rows(`
			alice 11:59:30 12:00:30 1
			alice 12:00:00 12:01:00 3
			alice 12:00:30 12:01:30 2
			alice 12:01:30 12:02:30 2
			alice 12:02:00 12:03:00 1
			alice 12:10:00 12:11:00 1
			alice 12:10:30 12:11:30 2
			alice 12:11:00 12:12:00 1
			bob   11:59:30 12:00:30 1
			bob   12:00:00 12:01:00 2
			bob   12:00:30 12:01:30 1
			bob   12:01:00 12:02:00 1
			bob   12:01:30 12:02:30 2
			bob   12:02:00 12:03:00 1
			bob   12:09:30 12:10:30 1
			bob   12:10:00 12:11:00 1
			carol 12:00:30 12:01:30 1
			carol 12:01:00 12:02:00 1
			carol 12:03:30 12:04:30 1
			carol 12:04:00 12:05:00 1
			carol 12:11:30 12:12:30 1
			carol 12:12:00 12:13:00 1
			dave  12:09:00 12:10:00 1
			dave  12:09:30 12:10:30 1`),
		"session": rows(`
			alice 12:00:05 12:07:05 5
			alice 12:10:30 12:16:15 2
			bob   12:00:10 12:07:20 4
			bob   12:10:00 12:15:00 1
			carol 12:01:10 12:09:00 2
			carol 12:12:00 12:17:00 1
			dave  12:09:58 12:14:58 1`),
		"counts": rows(`
			alice 12:00:05 1
			alice 12:00:35 2
			alice 12:00:59 3
			alice 12:01:59 5
			alice 12:02:05 4
			alice 12:05:05 0
			alice 12:10:30 1
			alice 12:11:15 2
			alice 12:15:30 0
			bob   12:00:10 1
			bob   12:00:32 2
			bob   12:01:40 3
			bob   12:02:20 4
			bob   12:05:10 0
			bob   12:10:00 1
			bob   12:15:00 0
			carol 12:01:10 1
			carol 12:04:00 2
			carol 12:06:10 0
			carol 12:12:00 1
			carol 12:17:00 0
			dave  12:09:58 1
			dave  12:14:58 0`),
	}
}

// rows are the lines of a table, in order.
func rows(table string) []string {
	var all []string
	for line := range strings.Lines(strings.TrimSpace(table)) {
		all = append(all, on(line))
	}
	slices.Sort(all)
	return all
}

// on gives times their date.
func on(line string) string {
	fields := strings.Fields(line)
	for i, f := range fields {
		if strings.Contains(f, ":") {
			fields[i] = "2024-03-01 " + f
		}
	}
	return strings.Join(fields, " ")
}
