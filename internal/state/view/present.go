package view

import (
	"fmt"
	"strings"
)

// Column is a column of the table that shows a section.
type Column struct {
	Name   string
	Number bool // holds numbers only
}

// Columns are those of the table that shows the section; state, if not "", is the only state of
// rows to be shown.
func (s *Section) Columns(state string) []Column {
	var columns []Column
	if names := s.key.names(); names != nil {
		for _, name := range names {
			columns = append(columns, Column{Name: "KEY." + strings.ToUpper(name)})
		}
	} else {
		columns = append(columns, Column{Name: "KEY"})
	}
	if s.Paned {
		columns = append(columns, Column{Name: "FROM"}, Column{Name: "TO"})
	}
	switch s.Form {
	case MapForm:
		columns = append(columns, userColumns(s.user)...)
		if s.isElements() {
			columns = append(columns, Column{Name: "EVENT TIME"})
		}
		return append(columns, valueColumns("VALUE", s.value.cell, s.States[0], true)...)
	case ListForm:
		columns = append(columns, Column{Name: "INDEX", Number: true})
		return append(columns, valueColumns("VALUE", s.value.cell, s.States[0], true)...)
	case TimerForm:
		columns = append(columns, Column{Name: "TIMER"})
		for i := range s.timers.NamespaceWords {
			columns = append(columns, Column{Name: namespaceNames[i]})
		}
		return columns
	}
	if s.Form == RawForm {
		return append(columns, Column{Name: "BYTES"})
	}
	alone := len(s.parts) == 1 || state != ""
	for i, p := range s.parts {
		if state == "" || s.States[i].Name == state {
			columns = append(columns, valueColumns(strings.ToUpper(s.States[i].Name), p.cell,
				s.States[i], alone)...)
		}
	}
	return columns
}

// namespaceNames are the words that name the timers of windows.
var namespaceNames = [...]string{"FROM", "TO"}

func userColumns(u userKeys) []Column {
	if u.single() {
		return []Column{{Name: "MAP KEY"}}
	}
	var columns []Column
	for _, name := range u.names {
		columns = append(columns, Column{Name: "MAP KEY." + strings.ToUpper(name)})
	}
	return columns
}

// valueColumns are those of one value; alone says that its fields need not be told from those of
// another.
func valueColumns(name string, c cell, state State, alone bool) []Column {
	var columns []Column
	names := c.columns()
	if names == nil {
		columns = append(columns, Column{Name: name, Number: c.isNumber(0)})
	}
	for i, field := range names {
		title := strings.ToUpper(field)
		if !alone {
			title = name + "." + title
		}
		columns = append(columns, Column{Name: title, Number: c.isNumber(i)})
	}
	if state.TTLMillis > 0 {
		columns = append(columns, Column{Name: "LAST USE"})
	}
	return columns
}

// Cells are the texts of an entry, one for each column; nil when the only state to be shown is not
// set.
func (s *Section) Cells(e Entry, state string) []string {
	texts := s.spread(nil, e.Key, s.key.names())
	if s.Paned {
		from, to := "", "none"
		if e.Window != nil {
			from, to = string(e.Window.Start), string(e.Window.End)
		}
		texts = append(texts, from, to)
	}
	switch s.Form {
	case MapForm:
		names := s.user.names
		if s.user.single() {
			names = nil
		}
		texts = s.spread(texts, e.UserKey, names)
		if s.isElements() {
			texts = append(texts, string(e.Values[0].EventTime))
		}
		return s.valueTexts(texts, e.Values[0], s.value.cell, s.States[0])
	case ListForm:
		texts = append(texts, fmt.Sprint(e.Index))
		return s.valueTexts(texts, e.Values[0], s.value.cell, s.States[0])
	case TimerForm:
		texts = append(texts, string(e.Timestamp))
		for _, word := range e.Namespace {
			texts = append(texts, string(timeText(int64(word), 0)))
		}
		return texts
	}
	if s.Form == RawForm {
		return append(texts, Text(e.Values[0].Value))
	}
	for i, p := range s.parts {
		if state != "" && s.States[i].Name != state {
			continue
		}
		if state != "" && !e.Values[i].Set {
			return nil
		}
		texts = s.valueTexts(texts, e.Values[i], p.cell, s.States[i])
	}
	return texts
}

// spread appends the texts of a value: one, or one for each of the names.
func (s *Section) spread(texts []string, v any, names []string) []string {
	record, ok := v.(Record)
	if names == nil {
		return append(texts, Text(v))
	}
	for i := range names {
		switch {
		case ok && i < len(record):
			texts = append(texts, Text(record[i].Value))
		case i == 0:
			texts = append(texts, Text(v)) // did not fit the schema
		default:
			texts = append(texts, "")
		}
	}
	return texts
}

func (s *Section) valueTexts(texts []string, v Value, c cell, state State) []string {
	if v.Set {
		texts = s.spread(texts, v.Value, c.columns())
	} else {
		for range max(1, len(c.columns())) {
			texts = append(texts, "-")
		}
	}
	switch {
	case state.TTLMillis > 0 && v.Set:
		texts = append(texts, MillisText(v.LastUse))
	case state.TTLMillis > 0:
		texts = append(texts, "-")
	}
	return texts
}

// Lines are an entry as JSON objects, one for each state that is set.
func (s *Section) Lines(e Entry, state string) []Record {
	head := Record{{"key", e.Key}}
	if e.Window != nil {
		window := Record{{"end", e.Window.End}}
		if e.Window.Start != "" {
			window = append(Record{{"start", e.Window.Start}}, window...)
		}
		head = append(head, Field{"window", window})
	}
	switch s.Form {
	case MapForm:
		head = append(head, Field{"mapKey", e.UserKey})
	case ListForm:
		head = append(head, Field{"index", e.Index})
	case TimerForm:
		line := append(Record{{"state", s.States[0].Name}}, head...)
		line = append(line, Field{"timestamp", e.Timestamp})
		if len(e.Namespace) > 0 {
			line = append(line, Field{"namespace", e.Namespace})
		}
		return []Record{line}
	}
	var lines []Record
	for i, v := range e.Values {
		if !v.Set || state != "" && s.States[i].Name != state {
			continue
		}
		line := append(Record{{"state", s.States[i].Name}}, head...)
		if v.EventTime != "" {
			line = append(line, Field{"eventTime", v.EventTime})
		}
		line = append(line, Field{"value", v.Value})
		if s.States[i].TTLMillis > 0 {
			line = append(line, Field{"lastUse", timeText(v.LastUse, 0)})
		}
		lines = append(lines, line)
	}
	return lines
}
