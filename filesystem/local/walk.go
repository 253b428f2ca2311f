package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"syscall"

	"github.com/leat-io/leat/filesystem"
)

// walk is one listing. It belongs to the goroutine that ranges over it and ends with it, which is
// why it may hold the context.
type walk struct {
	ctx        context.Context
	store      *Store
	yield      func(filesystem.Entry, error) bool
	recursive  bool
	inProgress bool // yield objects in progress only, instead of hiding them

	// above are the directories from the start down to the current one: a symbolic link to one of
	// them would never end.
	above []filesystem.Path
}

// run walks dir and yields the error that ended it, if any.
func (w *walk) run(operation string, dir filesystem.Path) {
	err := filesystem.CheckPath(dir)
	if err == nil {
		_, err = w.dir(dir)
	}
	if err != nil {
		w.yield(filesystem.Entry{}, wrap(operation, dir, err))
	}
}

// dir walks one directory; more is false when the caller wants no more entries.
func (w *walk) dir(dir filesystem.Path) (more bool, err error) {
	if err := w.ctx.Err(); err != nil {
		return false, err
	}
	listed, err := os.ReadDir(w.store.osPath(dir))
	if err != nil {
		if absent(err) {
			return true, nil // Missing from the start, or removed since it was listed.
		}
		return false, err
	}
	w.above = append(w.above, dir)
	defer func() { w.above = w.above[:len(w.above)-1] }()
	entries, err := w.entries(dir, listed)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if err := w.ctx.Err(); err != nil {
			return false, err
		}
		if e.Dir && w.recursive {
			more, err = w.dir(e.Path)
		} else {
			more = w.yield(e, nil)
		}
		if !more || err != nil {
			return false, err
		}
	}
	return true, nil
}

// entries returns what of the children is listed or walked, in the order of the contract.
func (w *walk) entries(dir filesystem.Path, listed []fs.DirEntry) ([]filesystem.Entry, error) {
	entries := make([]filesystem.Entry, 0, len(listed))
	for _, child := range listed {
		p := path.Join(dir, child.Name())
		found, err := w.look(p, child)
		if err != nil {
			if absent(err) || errors.Is(err, syscall.ELOOP) {
				continue
			}
			return nil, err
		}
		_, named := filesystem.InProgressTarget(p)
		switch {
		case found.IsDir():
			if child.Type()&fs.ModeSymlink != 0 && w.leadsUp(found) {
				continue
			}
		case !found.Mode().IsRegular() || named != w.inProgress:
			continue
		}
		entries = append(entries, entryOf(p, found))
	}
	slices.SortFunc(entries, filesystem.CompareEntries)
	return entries, nil
}

// look describes a child, following symbolic links.
func (w *walk) look(p filesystem.Path, child fs.DirEntry) (fs.FileInfo, error) {
	if child.Type()&fs.ModeSymlink != 0 {
		return os.Stat(w.store.osPath(p))
	}
	return child.Info()
}

func (w *walk) leadsUp(dir fs.FileInfo) bool {
	return slices.ContainsFunc(w.above, func(p filesystem.Path) bool {
		above, err := os.Stat(w.store.osPath(p))
		return err == nil && os.SameFile(above, dir)
	})
}
