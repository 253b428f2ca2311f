package docstest

import (
	"fmt"
	"strings"
)

// Block is a fenced block of a document.
type Block struct {
	Language string            // the first word behind the fence
	Options  map[string]string // the others, NAME=VALUE or NAME
	Lines    []string
	Line     int // of the document, of the first of Lines, from 1
}

// Command is a command of a document.
type Command struct {
	Text   string
	Output []string // what the document shows; nil for a script, of which it shows nothing
	Exact  bool     // numbers are not free
	Line   int      // of the document, from 1
}

// Blocks returns the fenced blocks of a document in Markdown.
func Blocks(text string) ([]Block, error) {
	var blocks []Block
	var open *Block
	for i, line := range strings.Split(text, "\n") {
		fence, fenced := strings.CutPrefix(line, "```")
		switch {
		case !fenced && open != nil:
			open.Lines = append(open.Lines, line)
		case fenced && open != nil:
			blocks, open = append(blocks, *open), nil
		case fenced:
			open = &Block{Options: map[string]string{}, Line: i + 2}
			for j, word := range strings.Fields(fence) {
				name, value, _ := strings.Cut(word, "=")
				if j == 0 {
					open.Language = word
				} else {
					open.Options[name] = value
				}
			}
		}
	}
	if open != nil {
		return nil, fmt.Errorf("docstest: the block in line %d has no end", open.Line)
	}
	return blocks, nil
}

// Commands returns the commands of a block: none if it is neither sh nor console.
func (b Block) Commands() ([]Command, error) {
	_, exact := b.Options["exact"]
	switch b.Language {
	case "sh":
		return []Command{{Text: strings.Join(b.Lines, "\n"), Line: b.Line}}, nil
	case "console":
	default:
		return nil, nil
	}
	var commands []Command
	for i, line := range b.Lines {
		text, begins := strings.CutPrefix(line, "$ ")
		more, continues := strings.CutPrefix(line, "> ")
		switch {
		case begins:
			commands = append(commands,
				Command{Text: text, Output: []string{}, Exact: exact, Line: b.Line + i})
		case len(commands) == 0:
			return nil, fmt.Errorf("docstest: line %d: output without a command", b.Line+i)
		case continues:
			commands[len(commands)-1].Text += "\n" + more
		default:
			c := &commands[len(commands)-1]
			c.Output = append(c.Output, line)
		}
	}
	return commands, nil
}
