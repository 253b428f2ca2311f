package filesystem

import (
	"fmt"
	"path"
	"strings"
)

const inProgressSuffix = ".inprogress"

// maxTargetBase is how much of a base name goes into the name of its object in progress, so that
// dot, base, dot, identifier and suffix stay within the 255 bytes most file systems allow.
const maxTargetBase = 180

// maxInProgressID bounds the identifier for the same reason.
const maxInProgressID = 62

// Join joins path elements with slashes and removes empty, "." and ".." elements as path.Join does.
// The result is absolute when the first element that is not empty is.
func Join(elem ...string) string { return path.Join(elem...) }

// CheckPath returns an error unless p has the form that Path describes. Stores call it first.
func CheckPath(p Path) error {
	if !strings.HasPrefix(p, "/") || path.Clean(p) != p || strings.IndexByte(p, 0) >= 0 {
		return fmt.Errorf("path %q is not absolute and clean", p)
	}
	return nil
}

// CheckObjectPath is CheckPath for the path of an object to be created: it refuses the root and the
// names that are kept for objects in progress too.
func CheckObjectPath(p Path) error {
	if err := CheckPath(p); err != nil {
		return err
	}
	if p == "/" {
		return fmt.Errorf("path %q is the root, not an object", p)
	}
	if _, ok := InProgressTarget(p); ok {
		return fmt.Errorf("path %q is kept for objects in progress", p)
	}
	return nil
}

// InProgressPath returns the path of the object in progress with the given identifier that is to be
// published at target: ".<base>.<id>.inprogress" beside it. The identifier is made of letters,
// digits, "-" and "_", at most 62 of them, and must be unique. All stores use these names.
func InProgressPath(target Path, id string) Path {
	dir, base := path.Split(target)
	if len(base) > maxTargetBase {
		// Cut before a rune, not inside: some file systems refuse names that are not UTF-8.
		cut := maxTargetBase
		for cut > maxTargetBase-4 && base[cut]&0xC0 == 0x80 {
			cut--
		}
		base = base[:cut]
	}
	return dir + "." + base + "." + id + inProgressSuffix
}

// InProgressTarget tells whether p is the path of an object in progress and, if so, where that is
// to be published. Of a base name longer than 180 bytes only the beginning is known.
func InProgressTarget(p Path) (target Path, ok bool) {
	dir, base := path.Split(p)
	rest, dotted := strings.CutPrefix(base, ".")
	rest, suffixed := strings.CutSuffix(rest, inProgressSuffix)
	dot := strings.LastIndexByte(rest, '.')
	if !dotted || !suffixed || dot < 1 || !validInProgressID(rest[dot+1:]) {
		return "", false
	}
	return dir + rest[:dot], true
}

func validInProgressID(id string) bool {
	if len(id) == 0 || len(id) > maxInProgressID {
		return false
	}
	for _, c := range []byte(id) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if !letter && !digit && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// CompareEntries orders entries as List yields them: byte order of paths, in which a directory
// counts as its path with "/" at the end. It is the order in which a walk that sorts each directory
// this way meets the objects, and that of keys in object stores.
func CompareEntries(a, b Entry) int {
	return strings.Compare(orderKey(a), orderKey(b))
}

func orderKey(e Entry) string {
	if e.Dir && e.Path != "/" {
		return e.Path + "/"
	}
	return e.Path
}
