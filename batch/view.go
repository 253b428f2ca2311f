package batch

// InlineBytes is the largest length of a view that holds its bytes itself.
const InlineBytes = 12

// InlineView returns the view of b, which must not be longer than InlineBytes.
func InlineView(b []byte) View { panic("unbuilt") }

// MakeView returns the view of b, which lies at offset off of buffer buf when it is longer than
// InlineBytes; else buf and off are ignored.
func MakeView(b []byte, buf uint32, off uint32) View { panic("unbuilt") }

// Len returns the length in bytes.
func (v View) Len() int { return int(v.length) }

// Inline reports whether v holds its bytes itself.
func (v View) Inline() bool { return v.length <= InlineBytes }

// Buffer returns the buffer index and offset of a view that is not inline.
func (v View) Buffer() (buf, off uint32) { panic("unbuilt") }

// Bytes returns the bytes of v without copying: they alias v itself when it is inline, else a
// buffer. Do not write to them.
func (v *View) Bytes(buffers [][]byte) []byte { panic("unbuilt") }

// String returns the bytes of v as a string, without copying: it is valid as long as they are.
func (v *View) String(buffers [][]byte) string { panic("unbuilt") }

// Hash returns the hash (hash id 1) of the bytes of v.
func (v *View) Hash(buffers [][]byte) uint64 { panic("unbuilt") }

// EqualViews reports whether two views over buffers of their own hold the same bytes.
func EqualViews(a *View, abufs [][]byte, b *View, bbufs [][]byte) bool { panic("unbuilt") }

// CompareViews orders two views by their bytes: -1, 0 or 1.
func CompareViews(a *View, abufs [][]byte, b *View, bbufs [][]byte) int { panic("unbuilt") }
