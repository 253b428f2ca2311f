//go:build !invariants

package invariant

// Enabled is false: costly checks are compiled out of this build.
const Enabled = false
