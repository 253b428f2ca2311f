package types

// KeyCodec turns keys of the Go type K into hashes and canonical bytes. All methods may be called
// from any goroutine and allocate nothing, except FromBytes, which copies strings.
//
// A key whose parts are one or two numbers has a canonical form of as many words; any other has
// one of bytes. Integer widths do not matter: int32 5 and int64 5 have the same words and hash.
type KeyCodec[K any] struct {
	words int
}

// KeyOf returns the codec of K: bool, integers, floats, string, byte arrays, and structs and
// arrays of these. Floats are allowed but rarely wise as keys: -0 equals 0 and every NaN equals
// every other. The error names the type and the cure.
func KeyOf[K any]() (*KeyCodec[K], error) { panic("unbuilt") }

// Words returns the size of the canonical form in 8-byte words, 1 or 2, or 0 when it is bytes.
func (c *KeyCodec[K]) Words() int { return c.words }

// Hash returns the hash (hash id 1) of k.
func (c *KeyCodec[K]) Hash(k K) uint64 { panic("unbuilt") }

// HashAll appends the hash of every key to dst.
func (c *KeyCodec[K]) HashAll(dst []uint64, keys []K) []uint64 { panic("unbuilt") }

// AppendWords appends the words of every key to dst, Words of them for each. Words must not be 0.
func (c *KeyCodec[K]) AppendWords(dst []uint64, keys []K) []uint64 { panic("unbuilt") }

// Bytes returns the canonical bytes of k when Words is 0. The result aliases the bytes of a
// string key, else scratch, grown when it is too small; do not write to it.
func (c *KeyCodec[K]) Bytes(k K, scratch []byte) []byte { panic("unbuilt") }

// FromWords returns the key with the given words. Words must not be 0.
func (c *KeyCodec[K]) FromWords(w []uint64) K { panic("unbuilt") }

// FromBytes returns the key with the given canonical bytes, copying strings. Words must be 0. It
// panics on bytes that no key has.
func (c *KeyCodec[K]) FromBytes(b []byte) K { panic("unbuilt") }
