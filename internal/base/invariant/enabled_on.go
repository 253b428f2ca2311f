//go:build invariants

package invariant

// Enabled is true: this build runs the costly checks too.
const Enabled = true
