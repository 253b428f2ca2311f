package run

import (
	"context"
	"fmt"
	"io"
)

// OpenAt opens the run that lies in object from offset for length bytes, for looking into it: only
// the blocks that a merge asks for are read, and only their own checksums are verified, not the
// digest of the run, which is what a restore must do. The Reader keeps object, which stays open
// until Close and may serve several Readers. Errors: ErrCorrupt, and those of reading.
func OpenAt(ctx context.Context, object io.ReaderAt, offset, length int64) (*Reader, error) {
	table, err := openTableIn(ctx, &section{object: object, offset: offset, length: length})
	if err != nil {
		return nil, fmt.Errorf("run: open: %w", err)
	}
	r, err := readerOf(table)
	if err != nil {
		return nil, fmt.Errorf("run: open: %w", err)
	}
	return r, nil
}
