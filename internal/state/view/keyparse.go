package view

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/leat-io/leat/types"
)

// parse reads a key as a person writes it: the text of the value itself, or for a composite its
// parts with commas between, or as a JSON array or object.
func (f *keyForm) parse(text string) (canonical []byte, hash uint64, err error) {
	texts := []string{text}
	if len(f.parts) > 1 {
		if texts, err = f.split(text); err != nil {
			return nil, 0, err
		}
	}
	leaves := make([]keyLeaf, len(f.parts))
	for i, p := range f.parts {
		if leaves[i], err = p.parse(texts[i]); err != nil {
			return nil, 0, fmt.Errorf("key %q: %w", text, err)
		}
	}
	for i, p := range f.parts {
		switch {
		case p.isNumber():
			canonical = binary.LittleEndian.AppendUint64(canonical, leaves[i].word)
		case len(f.parts) == 1:
			canonical = leaves[i].octets
		default:
			canonical = binary.LittleEndian.AppendUint32(canonical, uint32(len(leaves[i].octets)))
			canonical = append(canonical, leaves[i].octets...)
		}
	}
	hash, _ = f.root.hash(leaves)
	return canonical, hash, nil
}

// split takes the text of a composite key apart.
func (f *keyForm) split(text string) ([]string, error) {
	want := fmt.Sprintf("want %s, with commas between or as JSON", strings.Join(f.names(), ", "))
	var texts []string
	switch trimmed := strings.TrimSpace(text); {
	case strings.HasPrefix(trimmed, "["):
		var parts []any
		if err := unmarshal(trimmed, &parts); err != nil {
			return nil, fmt.Errorf("key %q: %w; %s", text, err, want)
		}
		for _, p := range parts {
			texts = append(texts, fmt.Sprint(p))
		}
	case strings.HasPrefix(trimmed, "{"):
		var parts map[string]any
		if err := unmarshal(trimmed, &parts); err != nil {
			return nil, fmt.Errorf("key %q: %w; %s", text, err, want)
		}
		for _, p := range f.parts {
			if v, ok := parts[p.name]; ok {
				texts = append(texts, fmt.Sprint(v))
			}
		}
		if len(parts) != len(texts) {
			return nil, fmt.Errorf("key %q: other names than those of the key; %s", text, want)
		}
	default:
		texts = strings.Split(text, ",")
	}
	if len(texts) != len(f.parts) {
		return nil, fmt.Errorf("key %q: it has %d of %d parts; %s", text, len(texts),
			len(f.parts), want)
	}
	return texts, nil
}

func unmarshal(text string, to any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(to)
}

// keyLeaf is the value of one part of a key.
type keyLeaf struct {
	word   uint64
	octets []byte
}

// parseOctets reads hexadecimal digits behind "0x", or takes the text as it is.
func parseOctets(text string) ([]byte, error) {
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok {
		return []byte(text), nil
	}
	return hex.DecodeString(digits)
}

func (n *keyNode) parse(text string) (keyLeaf, error) {
	switch {
	case n.kind == types.String:
		return keyLeaf{octets: []byte(text)}, nil
	case n.kind == types.Bytes:
		octets, err := parseOctets(text)
		if err == nil && n.octets > 0 && len(octets) != n.octets {
			err = fmt.Errorf("%d bytes, want %d", len(octets), n.octets)
		}
		return keyLeaf{octets: octets}, err
	}
	word, err := n.parseWord(strings.TrimSpace(text))
	if err != nil {
		return keyLeaf{}, fmt.Errorf("%q is no %v", text, n.kind)
	}
	return keyLeaf{word: word}, nil
}

func (n *keyNode) parseWord(text string) (uint64, error) {
	if n.unsigned {
		return strconv.ParseUint(text, 10, 64)
	}
	switch n.kind {
	case types.Boolean:
		b, err := strconv.ParseBool(text)
		if b {
			return 1, err
		}
		return 0, err
	case types.Float:
		v, err := strconv.ParseFloat(text, 32)
		return types.FloatBits(v), err
	case types.Double:
		v, err := strconv.ParseFloat(text, 64)
		return types.FloatBits(v), err
	case types.Timestamp, types.TimestampLTZ:
		for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05",
			time.RFC3339, time.DateOnly} {
			if at, err := time.Parse(layout, text); err == nil {
				return uint64(at.UnixMilli()), nil
			}
		}
	case types.Date:
		if at, err := time.Parse(time.DateOnly, text); err == nil {
			return uint64(at.Unix() / 86_400), nil
		}
	}
	v, err := strconv.ParseInt(text, 10, 64)
	return uint64(v), err
}

// hash returns the hash of a node from the leaves that begin with its own, and those behind it.
func (n *keyNode) hash(leaves []keyLeaf) (uint64, []keyLeaf) {
	if n.kind != types.Row {
		if n.isNumber() {
			return types.Mix64(leaves[0].word), leaves[1:]
		}
		return types.HashBytes(leaves[0].octets), leaves[1:]
	}
	h := types.HashStart
	for i := range n.parts {
		var part uint64
		part, leaves = n.parts[i].hash(leaves)
		h = types.Fold(h, part)
	}
	return h, leaves
}
