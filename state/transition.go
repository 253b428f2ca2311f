package state

import (
	"github.com/leat-io/leat/internal/state/declared"
	"github.com/leat-io/leat/state/backend"
)

// Codec is declared.Codec.
//
// Deprecated: the engine uses internal/state/declared.
type Codec[T any] = declared.Codec[T]

// NewCodec is declared.NewCodec.
//
// Deprecated: the engine uses internal/state/declared.
func NewCodec[T any]() (*Codec[T], error) { return declared.NewCodec[T]() }

// Cursor is declared.Cursor.
//
// Deprecated: the engine uses internal/state/declared.
type Cursor = declared.Cursor

// Description is declared.Description.
//
// Deprecated: the engine uses internal/state/declared.
type Description = declared.Description

// Layout is that of the declared states.
//
// Deprecated: the engine uses internal/state/declared.
func (d *Declarations) Layout(keyWords int) (backend.RowLayout, error) {
	return d.states.Layout(keyWords)
}

// Described is that of the declared states.
//
// Deprecated: the engine uses internal/state/declared.
func (d *Declarations) Described() []Description { return d.states.Described() }

// Err is that of the declared states.
//
// Deprecated: the engine uses internal/state/declared.
func (d *Declarations) Err() error { return d.states.Err() }

// Cursor is that of the declared states.
//
// Deprecated: the engine uses internal/state/declared.
func (d *Declarations) Cursor() *Cursor { return d.states.Cursor() }
