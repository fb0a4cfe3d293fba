package main

import (
	"cmp"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zws"
)

// collected is a Registerer that keeps what is registered.
type collected struct {
	prometheus.Registerer
	all []prometheus.Collector
}

func (c *collected) Register(m prometheus.Collector) error {
	c.all = append(c.all, m)
	return nil
}

func (c *collected) Unregister(prometheus.Collector) bool { return true }

var description = regexp.MustCompile(`^Desc\{fqName: "(.*?)", help: "(.*?)", (?:unit: ".*?", )?constLabels: \{.*?\}, variableLabels: \{(.*?)\}\}$`)

// addMetrics adds the table of the metrics that a bridge registers.
func addMetrics(t *testing.T, parts map[string]string) {
	registered := new(collected)
	c, faults := config.Validate(config.Default(), config.ValidateOptions{})
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	b, err := bridge.New(c, bridge.Options{Registerer: registered})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(t.Context())
	var rows [][]string
	for _, collector := range registered.all {
		descs := make(chan *prometheus.Desc, 1000)
		collector.Describe(descs)
		close(descs)
		for d := range descs {
			m := description.FindStringSubmatch(d.String())
			if m == nil {
				t.Fatalf("unexpected form of a metric: %s", d)
			}
			kind := "gauge"
			switch collector.(type) {
			case prometheus.Gauge: // has the methods of a Counter too
			case *prometheus.CounterVec, prometheus.Counter:
				kind = "counter"
			case *prometheus.HistogramVec, prometheus.Histogram:
				kind = "histogram"
			}
			if strings.HasSuffix(m[1], "_total") {
				kind = "counter"
			}
			var labels []string
			for l := range strings.SplitSeq(m[3], ",") {
				labels = append(labels, code(l))
			}
			rows = append(rows, []string{code(m[1]), kind, strings.Join(labels, ", "), m[2]})
		}
	}
	slices.SortFunc(rows, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
	table := newTable("metric", "type", "labels", "")
	for _, row := range rows {
		table.row(row...)
	}
	parts["metrics"] = table.String()
}

// addCommands adds the table of the commands, and a part for each with its help.
func addCommands(parts map[string]string) {
	overview := newTable("command", "")
	var all strings.Builder
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, child := range cmd.Commands() {
			if child.Hidden || child.Name() == "completion" {
				continue
			}
			walk(child)
			if child.HasSubCommands() {
				continue
			}
			overview.row(code(child.UseLine()), child.Short)
			all.WriteString("## " + child.CommandPath() + "\n\n" + strings.TrimSpace(cmp.Or(child.Long, child.Short)) + "\n\n")
			flags := newTable("flag", "default", "")
			n := 0
			child.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
				if f.Hidden || f.Name == "help" {
					return
				}
				n++
				name, usage := pflag.UnquoteUsage(f)
				text := "--" + f.Name
				if f.Shorthand != "" {
					text = "-" + f.Shorthand + ", " + text
				}
				standard := f.DefValue
				if slices.Contains([]string{"", "false", "[]", "0", "0s"}, standard) {
					standard = ""
				}
				flags.row(code(strings.TrimSpace(text+" "+name)), code(standard), usage)
			})
			if n > 0 {
				all.WriteString(flags.String() + "\n")
			}
		}
	}
	root := newRoot()
	root.InitDefaultHelpCmd()
	walk(root)
	parts["commands"] = overview.String()
	parts["help of all commands"] = all.String()
}

// closeCode is a constant of zws.
type closeCode struct {
	number int64
	name   string
	doc    string
}

// closeCodes returns the constants of package zws that are close codes.
func closeCodes(t *testing.T) []closeCode {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "../../zws/close.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var codes []closeCode
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if id, ok := v.Type.(*ast.Ident); !ok || id.Name != "Code" {
				continue
			}
			number, _ := constant.Int64Val(constant.MakeFromLiteral(v.Values[0].(*ast.BasicLit).Value, token.INT, 0))
			codes = append(codes, closeCode{number, v.Names[0].Name, strings.TrimSpace(v.Comment.Text())})
		}
	}
	if len(codes) < 20 {
		t.Fatalf("found %d close codes in zws/close.go, want at least 20", len(codes))
	}
	return codes
}

// addCloseCodes adds the table of the close codes, with what a client does after each.
func addCloseCodes(t *testing.T, parts map[string]string) {
	table := newTable("code", "when", "a client then")
	page, err := os.ReadFile("manual/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range closeCodes(t) {
		if strings.HasSuffix(c.doc, "never sent") || c.number == int64(zws.CodeNormal) {
			continue
		}
		then := "tries again"
		switch {
		case zws.Code(c.number) == zws.CodeExpired:
			then = "logs in again with new credentials"
		case zws.Code(c.number).Final():
			then = "stops: trying again is useless"
		}
		table.row(strconv.FormatInt(c.number, 10), c.doc, then)
		if !regexp.MustCompile(`(?m)^### .*\b` + strconv.FormatInt(c.number, 10) + `\b`).Match(page) {
			t.Errorf("errors.md has no section on %d, with causes and cures", c.number)
		}
	}
	parts["close codes"] = table.String()
}

var (
	// reasons matches the close reasons that an item of errors.md begins with.
	reasons = regexp.MustCompile("(?m)^- ((?:`[^`]+`(?:,\\s+)?)+)")
	quoted  = regexp.MustCompile("`([^`]+)`")
	// variable matches what differs from case to case in a reason, and where reasons are put together.
	variable = regexp.MustCompile(`…|backend \d+|: |\(|\)`)
)

// TestReasons checks that the code has the reasons that errors.md explains.
func TestReasons(t *testing.T) {
	page, err := os.ReadFile("manual/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, root := range []string{"../../bridge", "../../zws"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			code.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for _, item := range reasons.FindAllStringSubmatch(string(page), -1) {
		for _, reason := range quoted.FindAllStringSubmatch(item[1], -1) {
			n++
			for part := range strings.SplitSeq(variable.ReplaceAllString(reason[1], "\x00"), "\x00") {
				if part = strings.Trim(part, " "); len(part) > 3 && !strings.Contains(code.String(), part) {
					t.Errorf("errors.md explains %q; no code has %q", reason[1], part)
				}
			}
		}
	}
	if n < 30 {
		t.Errorf("errors.md explains %d reasons, want at least 30", n)
	}
}
