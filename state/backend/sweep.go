package backend

// Sweeper is implemented by tables whose rows can be visited a few at a time, with anything in
// between. Both backends do; who needs it must be content without.
type Sweeper interface {
	// Sweep calls f for rows, beginning at a cursor, which is 0 or what Sweep returned last,
	// until it has looked at about rows places for a row, most of which hold one, or until f
	// returns false. It returns where to go on, or 0 and done behind the last row. Every row
	// that exists from the beginning of such a pass to its end is visited, some maybe more than
	// once; one that is made meanwhile may be.
	//
	// f may write to its row and to the collections of that, and may delete it, but neither
	// insert nor touch other rows. A cursor says nothing about another pane.
	Sweep(cursor uint64, rows int, f func(row Row) bool) (next uint64, done bool)
}
