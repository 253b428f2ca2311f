package file

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/leat-io/leat/connector"
	"github.com/leat-io/leat/types"
)

// name makes and knows the names of files of a sink:
//
//	part-<lineage>-<owner>-<subtask>-<number>-<generation>-<attempt>.csv
//
// Owner is a hash of job name, job id and operator; number counts the files of one writer.
// Generation and attempt are those of the writer, which no other writer of the job id ever
// has, so that a name is never used twice. The job id is in it because a job that starts from
// a checkpoint of another place keeps the lineage and counts generations anew. The number
// stands where one may look for the checkpoint: a file is named when it is begun, and which
// checkpoint will complete it is not known then.
type name struct {
	prefix     string
	lineage    string
	owner      string
	subtask    int
	generation uint64
	attempt    uint32
	extension  string
}

func nameOf(prefix string, env *connector.Env, extension string) name {
	id := env.Identity
	owner := types.HashString(
		strconv.Quote(id.JobName) + strconv.Quote(id.JobID) + strconv.Quote(id.Operator))
	return name{
		prefix: prefix, lineage: id.Lineage, owner: fmt.Sprintf("%016x", owner)[:12],
		subtask: env.Subtask, generation: id.Generation, attempt: id.Attempt, extension: extension,
	}
}

// file returns the name of a file by its number.
func (n name) file(number int) string {
	return fmt.Sprintf("%s-%s-%s-%03d-%06d-%d-%d%s", n.prefix, n.lineage, n.owner, n.subtask,
		number, n.generation, n.attempt, n.extension)
}

// supersedes reports whether a path is that of a file of the same lineage and owner from an earlier
// attempt.
func (n name) supersedes(p string) bool {
	base, ok := strings.CutSuffix(path.Base(p), n.extension)
	rest, prefixed := strings.CutPrefix(base, n.prefix+"-"+n.lineage+"-"+n.owner+"-")
	parts := strings.Split(rest, "-")
	if !ok || !prefixed || len(parts) != 4 {
		return false
	}
	generation, err := strconv.ParseUint(parts[2], 10, 64)
	attempt, err2 := strconv.ParseUint(parts[3], 10, 32)
	if err != nil || err2 != nil {
		return false
	}
	return generation < n.generation ||
		generation == n.generation && uint32(attempt) < n.attempt
}
