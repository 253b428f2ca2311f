package table

import (
	"errors"

	"github.com/leat-io/leat/state/backend"
)

var errNoCollections = errors.New("table: collections are not kept yet")

func (t *Table) MapGet(backend.Row, int, []byte) ([]byte, bool)                          { return nil, false }
func (t *Table) MapPut(backend.Row, int, []byte, []byte) error                           { return errNoCollections }
func (t *Table) MapDelete(backend.Row, int, []byte) (bool, error)                        { return false, errNoCollections }
func (t *Table) ListAppend(backend.Row, int, []byte) error                               { return errNoCollections }
func (t *Table) ListScan(backend.Row, int, func([]byte) bool)                            {}
func (t *Table) Elements(backend.Row, int) int                                           { return 0 }
func (t *Table) Clear(backend.Row, int) error                                            { return errNoCollections }
func (t *Table) MapScan(_ backend.Row, _ int, _, _ []byte, _ func(_, _ []byte) bool)     {}
func (t *Table) MapScanBack(_ backend.Row, _ int, _, _ []byte, _ func(_, _ []byte) bool) {}
