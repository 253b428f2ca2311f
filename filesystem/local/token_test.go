package local

import (
	"errors"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/leat-io/leat/filesystem"
)

// Goal: no token, however made, names anything but an object in progress beside its target.
// Method: fuzz the three fields of a well-sealed token; what decodes must encode to the same.
func FuzzDecode(f *testing.F) {
	f.Add("/dir/a", "/dir/.a.ID.inprogress", strings.Repeat("\x01", fixedBytes))
	f.Add("/dir/a", "/etc/passwd", strings.Repeat("\x00", fixedBytes))
	f.Add("/dir/a", "/dir/sub/../.a.ID.inprogress", "")
	long := "/" + strings.Repeat("ü", 120)
	f.Add(long, filesystem.InProgressPath(long, "ID"), strings.Repeat("\xff", fixedBytes))
	f.Fuzz(func(t *testing.T, target, inProgress, fixed string) {
		token := filesystem.SealToken(scheme, []byte(target), []byte(inProgress), []byte(fixed))
		o, err := decode(token)
		if err != nil {
			if !errors.Is(err, filesystem.ErrTokenUnknown) {
				t.Fatalf("error %v is not ErrTokenUnknown", err)
			}
			return
		}
		named, ok := filesystem.InProgressTarget(o.inProgress)
		if !ok || path.Dir(named) != path.Dir(o.target) || !strings.HasPrefix(o.target, named) {
			t.Fatalf("%q is no object in progress of %q", o.inProgress, o.target)
		}
		if diff := cmp.Diff(token, o.token()); diff != "" {
			t.Fatalf("encoded again (-want +got):\n%s", diff)
		}
	})
}
