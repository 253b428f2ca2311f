package app

import "time"

// The forms of a point in time that --from takes, besides RFC 3339. They are local times.
const (
	momentDay    = "2006-01-02"
	momentMinute = "2006-01-02 15:04"
	momentSecond = "2006-01-02 15:04:05"
	momentClock  = "15:04"
)

// momentOf reads a point in time: RFC 3339, or local, as the end of what is left out: "2026-11-20
// 10:00" is all of that minute. A clock alone is the last time it showed that. ok is false for any
// other text.
func momentOf(text string, now time.Time) (at time.Time, ok bool) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, true
	}
	for _, form := range []struct {
		layout string
		whole  time.Duration
	}{
		{momentSecond, time.Second}, {"2006-01-02T15:04:05", time.Second},
		{momentMinute, time.Minute}, {"2006-01-02T15:04", time.Minute},
	} {
		if at, err := time.ParseInLocation(form.layout, text, now.Location()); err == nil {
			return at.Add(form.whole - time.Millisecond), true
		}
	}
	if at, err := time.ParseInLocation(momentDay, text, now.Location()); err == nil {
		return at.AddDate(0, 0, 1).Add(-time.Millisecond), true
	}
	clock, err := time.Parse(momentClock, text)
	if err != nil {
		return time.Time{}, false
	}
	year, month, day := now.Date()
	at = time.Date(year, month, day, clock.Hour(), clock.Minute(), 0, 0, now.Location())
	if at.After(now) {
		at = time.Date(year, month, day-1, clock.Hour(), clock.Minute(), 0, 0, now.Location())
	}
	return at.Add(time.Minute - time.Millisecond), true
}
