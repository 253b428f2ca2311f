package meta

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/leat-io/leat/internal/protocol"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files of the current format anew")

// sample returns a checkpoint with at least one of everything.
func sample() *Checkpoint {
	digest := bytes.Repeat([]byte{0xAB}, 32)
	counts, sink := OperatorID("counts"), OperatorID("sink")
	return &Checkpoint{
		Header: &protocol.CheckpointHeader{
			JobId: "0123456789abcdef0123456789abcdef", JobName: "flights", Lineage: "l-1",
			CheckpointId: 7, Generation: 3, TriggerMillis: 1_700_000_000_123,
			EngineVersion: "0.1.0", Kind: KindCheckpoint,
			Origin: "mem://root/0123456789abcdef0123456789abcdef/chk-7", Watermark: -5,
			GraphDigest: []byte{1, 2, 3},
		},
		Operators: []*protocol.OperatorState{{
			Uid: "counts", Id: counts[:], Name: "Count", Parallelism: 2, MaxParallelism: 32768,
			Descriptors: []*protocol.StateDescriptor{{Table: 1, Name: "n", Kind: "value",
				KeySchema: "VARCHAR", ValueSchema: "BIGINT", HashId: 1}},
			Subtasks: []*protocol.OperatorSubtaskState{{
				Subtask: 0,
				Keyed: &protocol.KeyedState{HashHi: 0x7FFFFFFF, Panes: []*protocol.PaneRuns{{
					Table: 1, Pane: -2, Runs: []*protocol.Run{
						{
							File: &protocol.DataFile{
								Path: "../shared/3-7-1-0-0badcafe.run",
								Size: 900,
							},
							Length: 900,
							Digest: digest,
							HashHi: 0x7FFFFFFF,
							UpTo:   7,
							Base:   true,
							Rows:   12,
							Format: 1,
						},
						{Inline: []byte("a table"), HashHi: 0x7FFFFFFF, UpTo: 7, Rows: 1},
					}}}},
				List: []*protocol.NamedState{{Name: "l", Elements: [][]byte{{1}, {2, 3}}}},
			}, {Subtask: 1}},
			Coordinator: &protocol.NamedState{Name: "splits", Elements: [][]byte{{9}}},
		}, {
			Uid: "sink", Id: sink[:], Name: "Sink", Parallelism: 1, MaxParallelism: 32768,
			Subtasks: []*protocol.OperatorSubtaskState{{
				Committables: []*protocol.Committable{{Version: 1, Data: []byte("token")}}}},
		}},
		Unknown: []Section{{Type: 900, Body: []byte("from the future")}},
	}
}

func encoded(t testing.TB, c *Checkpoint) []byte {
	t.Helper()
	file, err := Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func diff(a, b *Checkpoint) string { return cmp.Diff(a, b, protocmp.Transform()) }

// Goal: what is written is read, unknown sections included. Method: round trip of a checkpoint with
// one of everything, twice, comparing content and bytes.
func TestRoundTrip(t *testing.T) {
	file := encoded(t, sample())
	got, err := Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(sample(), got); d != "" {
		t.Errorf("decoded differs (-want +got):\n%s", d)
	}
	if !bytes.Equal(file, encoded(t, got)) {
		t.Error("encoding the decoded gives other bytes")
	}
	want := []string{"../shared/3-7-1-0-0badcafe.run"}
	if d := cmp.Diff(want, slices.Collect(got.Files)); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
}

// Goal: no damage is taken for a checkpoint. Method: every truncation and, at every byte, every
// single flipped bit and the byte inverted; each must give ErrDamaged or ErrUnsupported.
func TestDamageIsRefused(t *testing.T) {
	file := encoded(t, sample())
	refuse := func(what string, at int, damaged []byte) {
		if _, err := Decode(damaged); !errors.Is(err, ErrDamaged) &&
			!errors.Is(err, ErrUnsupported) {
			t.Fatalf("%s at byte %d: got %v", what, at, err)
		}
	}
	for n := range file {
		refuse("truncation", n, file[:n])
		for _, flip := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 255} {
			damaged := bytes.Clone(file)
			damaged[n] ^= flip
			refuse("flip", n, damaged)
		}
	}
	refuse("surplus", len(file), append(bytes.Clone(file), 0))
}

// Goal: refusals say what is wrong and where. Method: a table of files made wrong in one place.
func TestRefusals(t *testing.T) {
	file := encoded(t, sample())
	header := sectionHeaderBytes + int(
		binary.LittleEndian.Uint64(file[prefixBytes+4:]),
	) + checksumBytes
	build := func(add func(e *encoder)) []byte {
		e := &encoder{bytes: bytes.Clone(file[:prefixBytes])}
		add(e)
		return e.end()
	}
	first := file[prefixBytes+sectionHeaderBytes : prefixBytes+header-checksumBytes]
	at := func(i int, b byte) []byte {
		damaged := bytes.Clone(file)
		damaged[i] ^= b
		return damaged
	}
	cases := []struct {
		name string
		file []byte
		is   error
		says string
	}{
		{"empty", nil, ErrDamaged, "truncated at byte 0"},
		{"other magic", []byte("PAR1 and so on, long enough"), ErrDamaged, "magic is 504152312061"},
		{"newer", at(8, 3), ErrUnsupported, "format version is 2, this build reads up to 1"},
		{"cut prefix", file[:9], ErrDamaged, "truncated at byte 9: file prefix"},
		{"cut header", file[:30], ErrDamaged,
			"truncated at byte 30: section 1 (header) at byte 16"},
		{"cut operator", file[:prefixBytes+header+20], ErrDamaged, "section 2 (operator)"},
		{"cut between", file[:prefixBytes+header], ErrDamaged, "section 2 (cut off)"},
		{"flip in operator", at(prefixBytes+header+40, 1), ErrDamaged,
			"checksum of section 2 (operator)"},
		{"critical", build(func(e *encoder) {
			e.section(typeHeader, flagCritical, first)
			e.section(77, flagCritical, nil)
		}), ErrUnsupported, "section 2 (type 77)"},
		{"flags", build(func(e *encoder) {
			e.section(typeHeader, flagCritical, first)
			e.section(77, 4, nil)
		}), ErrUnsupported, "unknown flags 0x4"},
		{"no header", build(func(*encoder) {}), ErrDamaged, "no header"},
		{"two headers", build(func(e *encoder) {
			e.section(typeHeader, flagCritical, first)
			e.section(typeHeader, flagCritical, first)
		}), ErrDamaged, "the header must be the first"},
		{"no message", build(func(e *encoder) {
			e.section(typeHeader, flagCritical, []byte{0xFF})
		}), ErrDamaged, "section 1 (header) at byte 16 does not parse"},
		{"wrong count", build(func(e *encoder) {
			e.section(typeHeader, flagCritical, first)
			e.sections = 9
		}), ErrDamaged, "its end counts 9"},
	}
	for _, c := range cases {
		_, err := Decode(c.file)
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %v saying %q", c.name, err, c.is, c.says)
		}
	}
}

// Goal: the rules for messages hold on writing. Method: a table of one broken rule each.
func TestEncodeRefuses(t *testing.T) {
	subtask := func(c *Checkpoint, i int) *protocol.OperatorSubtaskState {
		return c.Operators[0].Subtasks[i]
	}
	run := func(c *Checkpoint) *protocol.Run {
		return subtask(c, 0).Keyed.Panes[0].Runs[0]
	}
	cases := map[string]func(c *Checkpoint){
		"there is no header":            func(c *Checkpoint) { c.Header = nil },
		"job id":                        func(c *Checkpoint) { c.Header.JobId = "ABC" },
		"job name is empty":             func(c *Checkpoint) { c.Header.JobName = "" },
		"lineage is empty":              func(c *Checkpoint) { c.Header.Lineage = "" },
		"checkpoint id is 0":            func(c *Checkpoint) { c.Header.CheckpointId = 0 },
		"generation is 0":               func(c *Checkpoint) { c.Header.Generation = 0 },
		"is not that of the uid":        func(c *Checkpoint) { c.Operators[1].Uid = "other" },
		"has 1 bytes, not 16":           func(c *Checkpoint) { c.Operators[1].Id = []byte{1} },
		"have one id":                   func(c *Checkpoint) { c.Operators[1] = c.Operators[0] },
		"parallelism 0 is not in":       func(c *Checkpoint) { c.Operators[1].Parallelism = 0 },
		"subtask 5 of 2":                func(c *Checkpoint) { subtask(c, 1).Subtask = 5 },
		"out of range or repeated":      func(c *Checkpoint) { subtask(c, 1).Subtask = 0 },
		"is empty":                      func(c *Checkpoint) { run(c).HashLo = 0xFFFFFFFF },
		"either a file or":              func(c *Checkpoint) { run(c).Inline = []byte{1} },
		"do not lie in file":            func(c *Checkpoint) { run(c).Length = 901 },
		"digest in file":                func(c *Checkpoint) { run(c).Digest = nil },
		"is not a clean":                func(c *Checkpoint) { run(c).File.Path = "/abs" },
		"is not an unknown one":         func(c *Checkpoint) { c.Unknown[0].Type = typeOperator },
		"flags 0x1 is not an unknown":   func(c *Checkpoint) { c.Unknown[0].Flags = flagCritical },
		"900 bytes from 900 do not":     func(c *Checkpoint) { run(c).Offset = 900 },
		"-1 bytes from 0 do not lie":    func(c *Checkpoint) { run(c).Length = -1 },
		"table 1, pane -2, run 0: hash": func(c *Checkpoint) { run(c).HashLo = 0xFFFFFFFF },
	}
	for says, spoil := range cases {
		c := sample()
		spoil(c)
		if _, err := Encode(c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want an error saying %q", err, says)
		}
		if _, err := ContentsJSON(c); err == nil {
			t.Errorf("%s: contents are written all the same", says)
		}
	}
}

// Goal: references cannot lead out of the checkpoint's directory and its neighbours. Method: table.
func TestCheckReference(t *testing.T) {
	good := []string{"a", "a/b", "../shared/x.run", "../taskowned/a/b", "..a", "%2E"}
	bad := []string{"", ".", "..", "../", "/a", "../..", "../../a", "a/../b", "a//b", "./a", "a/",
		"..//a", "a\x00b", ".././a"}
	for _, p := range good {
		if err := CheckReference(p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	for _, p := range bad {
		if CheckReference(p) == nil {
			t.Errorf("%q is accepted", p)
		}
	}
}

// Goal: state is found under the ids that Flink gives. Method: vectors; the first two are Flink's
// own, the others cross 16 bytes and come from the published test value of the hash.
func TestOperatorID(t *testing.T) {
	vectors := map[string]string{
		"stateful_map_test": "11f49afc24b1cce91c7169b1e5140284",
		"stateful_process":  "0d49016af99997646695a030f69aa7ee",
		"":                  "00000000000000000000000000000000",
		"The quick brown fox jumps over the lazy dog": "6c1b07bc7bbc4be347939ac4a93c437a",
	}
	for uid, want := range vectors {
		id := OperatorID(uid)
		if got := hex.EncodeToString(id[:]); got != want {
			t.Errorf("id of %q is %s, want %s", uid, got, want)
		}
	}
}

// Goal: every build reads every format version there ever was, and says the same of it to people.
// Method: committed files of each version, compared with what they were made from.
func TestGolden(t *testing.T) {
	binaryPath := filepath.Join("testdata", "v1", "_metadata")
	textPath := filepath.Join("testdata", "v1", "contents.json")
	text, err := ContentsJSON(sample())
	if err != nil {
		t.Fatal(err)
	}
	if *rewrite {
		golden := map[string][]byte{binaryPath: encoded(t, sample()), textPath: text}
		for path, content := range golden {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	file, err := os.ReadFile(binaryPath)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(sample(), got); d != "" {
		t.Errorf("version 1 differs (-want +got):\n%s", d)
	}
	want, err := os.ReadFile(textPath)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(text)); d != "" {
		t.Errorf("contents (-want +got):\n%s", d)
	}
}

// Goal: no input makes Decode panic, and what it accepts it can write again unchanged in meaning.
// Method: fuzzing from a whole file, its truncations, and files with repaired checksums.
func FuzzDecode(f *testing.F) {
	file := encoded(f, sample())
	for _, seed := range [][]byte{file, file[:len(file)/2], file[:prefixBytes], nil} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, input []byte, repair bool) {
		if repair {
			input = repaired(input)
		}
		c, err := Decode(input)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("neither damaged nor unsupported: %v", err)
			}
			return
		}
		again, err := Decode(encoded(t, c))
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(c, again); d != "" {
			t.Fatalf("written again it differs:\n%s", d)
		}
		if _, err := ContentsJSON(c); err != nil {
			t.Fatal(err)
		}
	})
}

// repaired makes the checksums and the end of a damaged file right, so that fuzzing reaches what
// lies behind them.
func repaired(input []byte) []byte {
	if len(input) < prefixBytes {
		return input
	}
	e := encoder{bytes: bytes.Clone(input[:prefixBytes])}
	for rest := input[prefixBytes:]; len(rest) >= sectionHeaderBytes; {
		kind, flags := binary.LittleEndian.Uint16(rest), binary.LittleEndian.Uint16(rest[2:])
		length := min(binary.LittleEndian.Uint64(rest[4:]), uint64(len(rest)-sectionHeaderBytes))
		if kind == typeEnd {
			break
		}
		e.section(kind, flags, rest[sectionHeaderBytes:sectionHeaderBytes+int(length)])
		rest = rest[min(len(rest), sectionHeaderBytes+int(length)+checksumBytes):]
	}
	return e.end()
}
