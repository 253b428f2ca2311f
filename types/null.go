package types

// Null is a value of V that may be null: the Go form of a nullable column in a struct. The zero
// Null is null; V is the zero value then.
type Null[V any] struct {
	V     V
	Valid bool // true when V is a value, false when it is null
}

// NullOf returns the value v, not null.
func NullOf[V any](v V) Null[V] { return Null[V]{V: v, Valid: true} }

// OrElse returns the value, or other when n is null.
func (n Null[V]) OrElse(other V) V {
	if n.Valid {
		return n.V
	}
	return other
}
