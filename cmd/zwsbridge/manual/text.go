package manual

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// width is how many columns a table has at most in a terminal.
const width = 100

// Text returns a topic for a terminal: the Markdown of [Markdown] with its tables laid out in columns. It
// reports whether there is the topic.
func Text(name string) (text string, ok bool) {
	return withTables(name, writeTable)
}

// Listed returns a topic as [Markdown] does, with lists instead of tables, which man pages are too
// narrow for.
func Listed(name string) (text string, ok bool) {
	return withTables(name, writeList)
}

// withTables returns the Markdown of a topic with its tables as write writes them.
func withTables(name string, write func(b *strings.Builder, table [][]string)) (text string, ok bool) {
	markdown, ok := Markdown(name)
	var b strings.Builder
	var table [][]string
	end := func() {
		if len(table) > 2 {
			write(&b, slices.Delete(table, 1, 2)) // the line below the head
		}
		table = nil
	}
	for line := range strings.Lines(markdown) {
		if strings.HasPrefix(line, "|") {
			table = append(table, cells(line))
			continue
		}
		end()
		b.WriteString(line)
	}
	end()
	return b.String(), ok
}

// pipes hides the escaped pipes of a row while it is split.
var pipes = strings.NewReplacer(`\|`, "\x00", "`", "")

// cells splits a row of a Markdown table, and removes the marks of code, which is plain in columns.
func cells(row string) []string {
	all := strings.Split(pipes.Replace(strings.TrimSpace(row)), "|")
	all = all[1:max(1, len(all)-1)] // before the first pipe and after the last is nothing
	for i, cell := range all {
		all[i] = strings.ReplaceAll(strings.TrimSpace(cell), "\x00", "|")
	}
	return all
}

// writeList writes a table as a list: of each row the first cell, what its other cells are by the head of
// the table, and the last one as text.
func writeList(b *strings.Builder, table [][]string) {
	head := table[0]
	for _, row := range table[1:] {
		var middle []string
		for i := 1; i < len(row)-1; i++ {
			if row[i] != "" {
				middle = append(middle, strings.TrimSpace(head[i]+" "+row[i]))
			}
		}
		b.WriteString("- **" + row[0] + "**")
		if middle != nil {
			b.WriteString(" (" + strings.Join(middle, "; ") + ")")
		}
		b.WriteString(": " + row[len(row)-1] + "\n")
	}
}

// writeTable writes a table in columns.
func writeTable(b *strings.Builder, table [][]string) {
	columns := columnWidths(table)
	for n, row := range table {
		wrapped := make([][]string, len(columns))
		height := 1
		for i := range columns {
			if i < len(row) {
				wrapped[i] = wrap(row[i], columns[i])
			}
			height = max(height, len(wrapped[i]))
		}
		for k := range height {
			var line strings.Builder
			for i, lines := range wrapped {
				text := ""
				if k < len(lines) {
					text = lines[k]
				}
				line.WriteString(text + strings.Repeat(" ", columns[i]-min(columns[i], utf8.RuneCountInString(text))+2))
			}
			b.WriteString("  " + strings.TrimRight(line.String(), " ") + "\n")
		}
		if n == 0 {
			b.WriteString("\n")
		}
	}
}

// columnWidths returns the widths of the columns: what they need, and less for the widest if that is more
// than a terminal has. No column is narrower than its longest word.
func columnWidths(table [][]string) []int {
	columns, least := make([]int, len(table[0])), make([]int, len(table[0]))
	sum := 0
	for i := range columns {
		for _, row := range table {
			if i >= len(row) {
				continue
			}
			columns[i] = max(columns[i], utf8.RuneCountInString(row[i]))
			for word := range strings.FieldsSeq(row[i]) {
				least[i] = max(least[i], utf8.RuneCountInString(word))
			}
		}
		sum += columns[i] + 2
	}
	for ; sum > width; sum-- {
		widest := -1
		for i := range columns {
			if columns[i] > least[i] && (widest < 0 || columns[i] >= columns[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		columns[widest]--
	}
	return columns
}

// wrap breaks text between words into lines of at most columns, or longer if a single word is.
func wrap(text string, columns int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > columns {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
