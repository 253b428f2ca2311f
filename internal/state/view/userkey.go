package view

import (
	"fmt"

	"github.com/leat-io/leat/eventtime"
	"github.com/leat-io/leat/types"
)

// userKeys decodes the user keys of a map.
type userKeys struct {
	decoder *types.OrderedDecoder
	names   []string
}

func userKeysOf(schema string) (userKeys, error) {
	decoder, err := types.ParseOrdered(schema)
	if err != nil {
		return userKeys{}, err
	}
	return userKeys{decoder: decoder, names: decoder.Names()}, nil
}

// single tells whether a user key is one value.
func (u userKeys) single() bool { return len(u.names) == 1 }

func (u userKeys) decode(b []byte) (any, error) {
	values, rest, err := u.decoder.Decode(b)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes follow the user key", len(rest))
	}
	if err != nil {
		return nil, err
	}
	if u.single() {
		return ofOrdered(values[0]), nil
	}
	record := make(Record, len(values))
	for i, v := range values {
		record[i] = Field{Name: u.names[i], Value: ofOrdered(v)}
	}
	return record, nil
}

// ofOrdered turns a decoded part into the types of this package.
func ofOrdered(v any) any {
	switch v := v.(type) {
	case float32:
		return float64(v)
	case eventtime.Timestamp:
		return timeText(int64(v), 0)
	case []byte:
		return Octets(v)
	case []any:
		parts := make([]any, len(v))
		for i := range v {
			parts[i] = ofOrdered(v[i])
		}
		return parts
	}
	return v
}
