package types

import (
	"errors"
	"fmt"
)

// Validate reports every fault of s at once: empty or repeated names, invalid types. A schema
// without fields is valid: it counts rows.
func (s *Schema) Validate() error {
	return errors.Join(validateFields(s.Fields, "")...)
}

// Validate reports an unknown kind, a precision or scale out of range, or faulty nested fields.
func (t Type) Validate() error { return errors.Join(t.faults()...) }

func (t Type) faults() []error {
	switch t.Kind {
	case Decimal:
		if t.Precision < 1 || t.Precision > MaxDecimalPrecision {
			return []error{fmt.Errorf("use type %q: precision must be 1 to %d",
				t.String(), MaxDecimalPrecision)}
		}
		if t.Scale < 0 || t.Scale > t.Precision {
			return []error{fmt.Errorf("use type %q: scale must be 0 to the precision", t.String())}
		}
		return t.strayParts(false, false)
	case Time:
		return append(t.strayParts(true, false), t.precisionFault(MaxTimePrecision)...)
	case Timestamp, TimestampLTZ:
		return append(t.strayParts(true, false), t.precisionFault(MaxTimestampPrecision)...)
	case Row:
		return append(t.strayParts(true, true), validateFields(t.Fields, "")...)
	case Boolean, TinyInt, SmallInt, Int, BigInt, Float, Double, String, Bytes, Date:
		if t.Precision != 0 {
			return []error{fmt.Errorf("use type %q: it takes no precision", t.Kind)}
		}
		return t.strayParts(true, false)
	}
	return []error{fmt.Errorf("use type: unknown kind %d", t.Kind)}
}

// strayParts reports parameters that the kind of t does not have.
func (t Type) strayParts(noScale, row bool) []error {
	var faults []error
	if noScale && t.Scale != 0 {
		faults = append(faults, fmt.Errorf("use type %q: it takes no scale", t.Kind))
	}
	if row && t.Precision != 0 {
		faults = append(faults, fmt.Errorf("use type %q: it takes no precision", t.Kind))
	}
	if !row && len(t.Fields) != 0 {
		faults = append(faults, fmt.Errorf("use type %q: it takes no fields", t.Kind))
	}
	return faults
}

func (t Type) precisionFault(highest int) []error {
	if t.Precision >= 0 && t.Precision <= highest {
		return nil
	}
	return []error{fmt.Errorf("use type %q: precision must be 0 to %d", t.String(), highest)}
}

func validateFields(fields []Field, prefix string) []error {
	var faults []error
	seen := make(map[string]bool, len(fields))
	for i, f := range fields {
		switch {
		case f.Name == "":
			faults = append(faults, fmt.Errorf("use schema: column %d has no name", i+1))
		case seen[f.Name]:
			faults = append(faults, fmt.Errorf("use schema: column %q occurs twice", prefix+f.Name))
		}
		seen[f.Name] = true
		for _, fault := range f.Type.faults() {
			faults = append(faults, fmt.Errorf("column %q: %w", prefix+f.Name, fault))
		}
	}
	return faults
}
