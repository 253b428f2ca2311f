package format

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestDates compares every day of four centuries and the ends of the range with package time.
func TestDates(t *testing.T) {
	for day := int32(-150_000); day < 150_000; day++ {
		want := time.Unix(int64(day)*86400, 0).UTC().Format("2006-01-02")
		if got := string(AppendDate(nil, day)); got != want {
			t.Fatalf("day %d: want %s, got %s", day, want, got)
		}
		if got, ok := ParseDate([]byte(want)); !ok || got != day {
			t.Fatalf("%s: want %d, got %d, %t", want, day, got, ok)
		}
	}
	for _, day := range []int32{math.MinInt32, math.MaxInt32, -1_000_000, 3_000_000} {
		text := AppendDate(nil, day)
		if got, ok := ParseDate(text); !ok || got != day {
			t.Errorf("day %d is %s, read as %d, %t", day, text, got, ok)
		}
	}
}

// TestTimestamps compares random timestamps with package time, and reads back all they can be.
func TestTimestamps(t *testing.T) {
	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	for range 100_000 {
		millis := random.Int64N(8e12) - 4e12
		at := time.UnixMilli(millis).UTC()
		want := at.Format("2006-01-02 15:04:05")
		if millis%1000 != 0 {
			want = at.Format("2006-01-02 15:04:05.000")
		}
		if got := string(AppendTimestamp(nil, millis, ' ')); got != want {
			t.Fatalf("seed %d: %d: want %s, got %s", seed, millis, want, got)
		}
		for _, text := range []string{want, strings.ReplaceAll(want, " ", "T") + "Z",
			strings.ReplaceAll(want, "-", "/")} {
			if got, ok := ParseTimestamp([]byte(text)); !ok || got != millis {
				t.Fatalf("seed %d: %s: want %d, got %d, %t", seed, text, millis, got, ok)
			}
		}
		minute := at.Truncate(time.Minute)
		got, ok := ParseMinute([]byte(minute.Format("2006/01/02 15:04")))
		if !ok || got != minute.UnixMilli() {
			t.Fatalf("seed %d: %s: got %d, %t", seed, minute, got, ok)
		}
	}
	for _, millis := range []int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64, -1, 0} {
		text := AppendTimestamp(nil, millis, 'T')
		if got, ok := ParseTimestamp(text); !ok || got != millis {
			t.Errorf("%d is %s, read as %d, %t", millis, text, got, ok)
		}
	}
}

// FuzzLeadingTimestamp compares with ParseTimestamp, with and without a remembered date.
func FuzzLeadingTimestamp(f *testing.F) {
	for _, text := range []string{"2001-01-01 00:47", "2001/12/31T23:59:59", "2001-01-01 24:00",
		"2001-01-01 00:47:60", "2001-01-01_00:47", "2001-02-30 00:47", "2001-01-01 00-47"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b := append([]byte(text), make([]byte, LeadingBytes)...)
		var fresh, used TimestampReader
		used.Leading(append([]byte(text[:min(10, len(text))]+" 00:00"), make([]byte,
			LeadingBytes)...))
		for _, r := range []*TimestampReader{&fresh, &used} {
			got, n := r.Leading(b)
			if n == 0 {
				continue
			}
			if want, ok := ParseTimestamp(b[:n]); !ok || want != got {
				t.Errorf("%q: want %d, %t, got %d", b[:n], want, ok, got)
			}
		}
		if _, n := fresh.Leading(b); n == 0 && len(text) == 16 {
			if _, ok := ParseTimestamp([]byte(text)); ok && text[0] != '-' && text[0] != '+' {
				t.Errorf("%q is not read", text)
			}
		}
	})
}

// TestBadTimes checks texts that look like times and are none.
func TestBadTimes(t *testing.T) {
	for _, text := range []string{
		"", "2001", "2001-1-1 00:00", "2001-02-29 00:00", "1900-02-29 00:00", "2001-13-01 00:00",
		"2001-00-01 00:00", "2001-01-00 00:00", "2001-04-31 00:00", "2001-01-01", "2001-01-01 ",
		"2001-01-01 24:00", "2001-01-01 00:60", "2001-01-01 00:00:60", "2001-01-01 00:00:0",
		"2001-01-01 00:00:00.", "2001-01-01 00:00:00.1234567890", "2001-01-01 00:00:00x",
		"2001-01/01 00:00", "2001-01-01_00:00", "2001-01-01 00:00ZZ", "20010-01-01 00:00",
		"201-01-01 00:00", "+292278995-01-01 00:00", "2001-01-01 00:00 ", " 2001-01-01 00:00",
		"-292275055-05-16 16:47:04.191", "+292278994-08-17 07:12:55.808", "+1000000000-01-01 00:00",
	} {
		if got, ok := ParseTimestamp([]byte(text)); ok {
			t.Errorf("%q is read as %d", text, got)
		}
	}
	for _, text := range []string{"2001-01-01 00:00:00.1234Z", "2000-02-29T23:59",
		"+2001-01-01 00:00"} {
		if _, ok := ParseTimestamp([]byte(text)); !ok {
			t.Errorf("%q is refused", text)
		}
	}
}

// FuzzNumbers compares with package strconv.
func FuzzNumbers(f *testing.F) {
	for _, text := range []string{"0", "-0", "+1", "9223372036854775807", "-9223372036854775808",
		"9223372036854775808", "18446744073709551616", "1.5", "-.5", "5.", ".", "1e5", "1e-400",
		"1e400",
		"NaN", "-inf", "Infinity", "0x1p3", "1_0", "123456789012345.6", "0.1", "00012", "1.2.3",
		"--1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, err := strconv.ParseInt(text, 10, 64)
		if got, ok := ParseInt([]byte(text)); ok != (err == nil) || ok && got != want {
			t.Errorf("%q: want %d, %v, got %d, %t", text, want, err, got, ok)
		}
		leading := append([]byte(text), make([]byte, LeadingBytes)...)
		if got, n := LeadingInt(leading); n > 0 {
			want, err := strconv.ParseInt(string(leading[:n]), 10, 64)
			if err != nil || got != want || leading[n]-'0' <= 9 || n > 19 {
				t.Errorf("%q: want %d, %v, got %d of %d bytes", text, want, err, got, n)
			}
		} else if v := strings.TrimPrefix(text, "-"); v != "" && v[0]-'0' <= 9 && len(v) <= 18 {
			t.Errorf("%q is not read", text)
		}
		for _, bits := range []int{32, 64} {
			want, err := strconv.ParseFloat(text, bits)
			good := err == nil && !strings.ContainsAny(text, "xXpP_")
			got, ok := ParseFloat([]byte(text), bits)
			if ok != good || ok && math.Float64bits(got) != math.Float64bits(want) {
				t.Errorf("%q, %d bits: want %v, %v, got %v, %t", text, bits, want, err, got, ok)
			}
		}
	})
}

// TestFloats reads back random floats of both precisions and checks the form of a few.
func TestFloats(t *testing.T) {
	const seed = 2
	random := rand.New(rand.NewPCG(seed, 0))
	for range 100_000 {
		v := math.Float64frombits(random.Uint64())
		w := math.Float32frombits(random.Uint32())
		for _, c := range []struct {
			v    float64
			bits int
		}{{v, 64}, {float64(w), 32}, {float64(random.Int64N(1e18)) / 1024, 64}} {
			text := AppendFloat(nil, c.v, c.bits)
			got, ok := ParseFloat(text, c.bits)
			if !ok || got != c.v && c.v == c.v {
				t.Fatalf("seed %d: %v is %s, read as %v, %t", seed, c.v, text, got, ok)
			}
		}
	}
	for v, want := range map[float64]string{
		0: "0", 66: "66", -1.5: "-1.5", 1e6: "1000000", 1e20: "100000000000000000000",
		1e21: "1e+21",
		1e-6: "0.000001", 1e-7: "1e-07", math.Inf(-1): "-Infinity", 0.1: "0.1",
	} {
		if got := string(AppendFloat(nil, v, 64)); got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
	if got := AppendFloat(nil, math.Copysign(0, -1), 64); string(got) != "-0" {
		t.Errorf("minus zero is %s", got)
	}
}

// TestBool checks the spellings.
func TestBool(t *testing.T) {
	for text, want := range map[string]string{"true": "true", "FALSE": "false", "True": "true",
		"t": "", "1": "", "": "", "truefalse": ""} {
		v, ok := ParseBool([]byte(text))
		if ok != (want != "") || ok && fmt.Sprint(v) != want {
			t.Errorf("%q: %t, %t", text, v, ok)
		}
	}
}

// TestExcerpt checks that long texts are cut at a rune.
func TestExcerpt(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("x", 60), strings.Repeat("日本", 100),
		strings.Repeat("\x80", 100), "x" + strings.Repeat("é", 100)} {
		got := Excerpt([]byte(text))
		if len(got) > 63 || !strings.HasPrefix(text, strings.TrimSuffix(got, "...")) {
			t.Errorf("%q becomes %q", text, got)
		}
		if strings.Contains(got, "\ufffd") && !bytes.Contains([]byte(text), []byte("\ufffd")) {
			t.Errorf("%q is cut within a rune: %q", text, got)
		}
	}
}
