package ordered

import (
	"bytes"
	"fmt"

	"github.com/leat-io/leat/state/backend"
)

// Restore adds a clean entry.
func (s *Store) Restore(entry backend.Entry) error {
	key, suffix, err := backend.SplitEntryKey(s.keyWords, entry.Key)
	if err != nil {
		return err
	}
	last := &s.restored
	if last.slot == nil || last.owner.Hash != entry.Hash || !bytes.Equal(last.owner.Key, key) {
		if last.slot, err = s.rows.Slot(Owner{Hash: entry.Hash, Key: key}); err != nil {
			last.slot = nil
			return err
		}
		last.owner.Hash = entry.Hash
		last.owner.Key = append(last.owner.Key[:0], key...)
	}
	s.restoring = true
	defer func() { s.restoring = false }()
	if s.kind == backend.List {
		return s.restoreBlock(last.slot, last.owner, suffix, entry.Value)
	}
	if _, found := s.Get(*last.slot, suffix); found {
		return fmt.Errorf("key %x was restored before", entry.Key)
	}
	return s.Put(last.slot, last.owner, suffix, entry.Value)
}

// EndRestore forgets the slot of the last owner, before rows move.
func (s *Store) EndRestore() { s.restored.slot = nil }

// restoreBlock adds a block of a list under its number: a later change of it must replace it.
func (s *Store) restoreBlock(slot *uint64, o Owner, suffix, value []byte) error {
	number, err := backend.BlockNumber(suffix)
	if err != nil {
		return err
	}
	count := uint64(0)
	for rest := value; len(rest) > 0; count++ {
		if _, rest, err = backend.NextElement(rest); err != nil {
			return err
		}
	}
	if count == 0 {
		return nil
	}
	var nd *node
	if *slot == 0 {
		nd, err = s.newHead(slot, o, number, len(value))
	} else {
		if last := s.node(lastOf(*slot)); last.number() >= number {
			return fmt.Errorf("block %d of a list was restored after block %d", number,
				last.number())
		}
		nd, err = s.newTail(slot, number, len(value), listAt+len(value))
	}
	if err != nil {
		return err
	}
	copy(nd.raw(int(nd.first), len(value)), value)
	nd.setUsed(len(value))
	nd.tail().before += count
	return nil
}
