package state

// Reducing is one value of T for each key, into which others are folded. The zero Reducing is
// unusable: declare it.
//
// Semantics: Flink's ReducingState.
type Reducing[T any] struct {
	cell   *cell[T]
	reduce func(a, b T) T
}

// DeclareReducing declares a reducing state: DeclareValue says what T and name may be. reduce
// returns the fold of what there is, a, and what is added, b.
func DeclareReducing[T any](
	d *Declarations, name string, reduce func(a, b T) T, options ...Option,
) Reducing[T] {
	return Reducing[T]{declareCell[T](d, kindReducing, name, options), reduce}
}

// Add folds a value into that of the current key. The first is taken as it is.
func (r Reducing[T]) Add(value T) {
	live := r.cell.live()
	r.cell.update(func(fold *T) {
		if live {
			value = r.reduce(*fold, value)
		}
		*fold = value
	})
}

// Get returns the fold of the values that were added, or false when there are none.
func (r Reducing[T]) Get() (value T, ok bool) {
	r.cell.get(&value, &ok)
	return value, ok
}

// Clear forgets all values of the current key.
func (r Reducing[T]) Clear() { r.cell.clear() }

// Aggregate says how values of In are folded into an accumulator Acc, and what comes of it.
//
// Semantics: Flink's AggregateFunction.
type Aggregate[In, Acc, Out any] struct {
	// Create returns the accumulator before the first value; nil means the zero Acc.
	Create func() Acc
	// Add folds a value into the accumulator.
	Add func(acc *Acc, value In)
	// Result returns what the accumulator amounts to.
	Result func(acc *Acc) Out
}

// Aggregating is one accumulator for each key, into which values are folded. The zero
// Aggregating is unusable: declare it.
//
// Semantics: Flink's AggregatingState.
type Aggregating[In, Acc, Out any] struct {
	cell *cell[Acc]
	f    Aggregate[In, Acc, Out]
}

// DeclareAggregating declares an aggregating state: DeclareValue says what Acc and name may
// be.
func DeclareAggregating[In, Acc, Out any](
	d *Declarations, name string, f Aggregate[In, Acc, Out], options ...Option,
) Aggregating[In, Acc, Out] {
	return Aggregating[In, Acc, Out]{declareCell[Acc](d, kindAggregating, name, options), f}
}

// Add folds a value into the accumulator of the current key.
func (a Aggregating[In, Acc, Out]) Add(value In) {
	live := a.cell.live()
	a.cell.update(func(acc *Acc) {
		if !live && a.f.Create != nil {
			*acc = a.f.Create()
		}
		a.f.Add(acc, value)
	})
}

// Get returns the result for the current key, or false when nothing was added.
func (a Aggregating[In, Acc, Out]) Get() (result Out, ok bool) {
	var acc Acc
	if a.cell.get(&acc, &ok); ok {
		result = a.f.Result(&acc)
	}
	return result, ok
}

// Clear forgets all values of the current key.
func (a Aggregating[In, Acc, Out]) Clear() { a.cell.clear() }
