package types

// ParseType reads the SQL spelling of a type.
func ParseType(text string) (Type, error) { panic("unbuilt") }

// ParseSchema reads what [Schema.Describe] returned.
func ParseSchema(text string) (*Schema, error) { panic("unbuilt") }
