package timer

import "math/bits"

// wheel finds the bucket of a time. All times in it are after base. On level l, digit is a
// group of six bits of the time, and what is in slot d of level l agrees with base in all
// higher digits and differs from it in digit l (from level 1 on). So a lower level comes
// before a higher one, and a lower slot before a higher one.
type wheel struct {
	base   uint64
	used   [levels]uint64 // bit d: slot d is taken
	slots  [levels][1 << levelBits]*bucket
	levels uint16 // bit l: level l has a slot that is taken
}

const (
	levelBits  = 6
	widthBits  = 6 // of the buckets of level 0: 64 ms
	levels     = (64 - widthBits + levelBits - 1) / levelBits
	bucketSpan = 1 << widthBits
)

// place returns level and slot of a time after base.
func (w *wheel) place(time uint64) (level int, slot int) {
	if differ := (time ^ w.base) >> widthBits; differ != 0 {
		level = int(uint(bits.Len64(differ)-1) / levelBits)
	}
	return level, int(time >> (widthBits + levelBits*level) & (1<<levelBits - 1))
}

func (w *wheel) put(level, slot int, b *bucket) {
	w.slots[level][slot] = b
	w.used[level] |= 1 << slot
	w.levels |= 1 << level
}

func (w *wheel) remove(level, slot int) {
	w.slots[level][slot] = nil
	if w.used[level] &^= 1 << slot; w.used[level] == 0 {
		w.levels &^= 1 << level
	}
}

// lowest returns the bucket with the earliest times, nil without buckets.
func (w *wheel) lowest() (level, slot int, b *bucket) {
	if w.levels == 0 {
		return 0, 0, nil
	}
	level = bits.TrailingZeros16(w.levels)
	slot = bits.TrailingZeros64(w.used[level])
	return level, slot, w.slots[level][slot]
}

// start returns the first time of a slot that is taken.
func (w *wheel) start(level, slot int) uint64 {
	shift := widthBits + levelBits*level
	return w.base>>(shift+levelBits)<<(shift+levelBits) | uint64(slot)<<shift
}

// each calls f for every bucket.
func (w *wheel) each(f func(b *bucket)) {
	for level := range w.used {
		for used := w.used[level]; used != 0; used &= used - 1 {
			f(w.slots[level][bits.TrailingZeros64(used)])
		}
	}
}
