package bridge_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/zwsbridge/zwsbridge/"

// A goPackage is what `go list -json` prints about a package, without its tests.
type goPackage struct {
	ImportPath string
	Imports    []string
}

// importGraph has the imports of each package. Packages of this module are named by their
// path below the module's root.
type importGraph map[string][]string

// An importRule returns the imports that it does not allow, each as "A imports B: reason".
type importRule func(importGraph) []string

var importRules = map[string]importRule{
	"configuration stops at constructors": configRule,
	"machines do not import transports":   machineRule,
	"only the façade imports admin":       adminRule,
}

// configImporters can import bridge/config, as can cmd and the examples, which embed the bridge.
// Every other package gets the values that it needs by its constructor. In bridge/internal/route
// only one file imports it; see TestRouteConfig.
var configImporters = []string{"bridge", "bridge/internal/auth", "bridge/internal/admin", "bridge/internal/route"}

func configRule(g importGraph) (refused []string) {
	for p, imports := range g {
		if slices.Contains(configImporters, p) || within(p, "cmd") || within(p, "examples") || within(p, "bridge/config") {
			continue
		}
		for _, i := range imports {
			if within(i, "bridge/config") {
				refused = append(refused, fmt.Sprintf("%s imports %s: only the façade, auth, admin, route's constructors and cmd use the configuration", p, i))
			}
		}
	}
	return refused
}

// machines are the packages that move messages. They import neither zws nor net/http, except that
// the client library of the NATS store of the history imports net/http.
var machines = []string{
	"bridge/internal/backend", "bridge/internal/queue", "bridge/internal/fanout",
	"bridge/internal/rights", "bridge/internal/history", "zws/zmtp",
}

const natsStore = "bridge/internal/history/natsstore"

func machineRule(g importGraph) (refused []string) {
	for p := range g {
		if !slices.ContainsFunc(machines, func(m string) bool { return within(p, m) }) {
			continue
		}
		for _, target := range []string{"zws", "net/http"} {
			if target == "net/http" && within(p, natsStore) {
				continue
			}
			if chain := g.chain(p, target); chain != nil {
				refused = append(refused, fmt.Sprintf("%s: packages that move messages must not depend on WebSocket or HTTP", strings.Join(chain, " imports ")))
			}
		}
	}
	return refused
}

func adminRule(g importGraph) (refused []string) {
	const admin = "bridge/internal/admin"
	for p, imports := range g {
		if p == "bridge" || within(p, "cmd") || within(p, admin) {
			continue
		}
		for _, i := range imports {
			if within(i, admin) {
				refused = append(refused, fmt.Sprintf("%s imports %s: only the façade and cmd import admin", p, i))
			}
		}
	}
	return refused
}

// within reports whether p is the package tree or a package below it.
func within(p, tree string) bool { return p == tree || strings.HasPrefix(p, tree+"/") }

// chain returns the shortest chain of imports from one package to another, or nil.
func (g importGraph) chain(from, to string) []string {
	chains := [][]string{{from}}
	seen := map[string]bool{from: true}
	for len(chains) > 0 {
		c := chains[0]
		chains = chains[1:]
		for _, i := range g[c[len(c)-1]] {
			if i == to {
				return append(slices.Clone(c), i)
			}
			if !seen[i] {
				seen[i] = true
				chains = append(chains, append(slices.Clone(c), i))
			}
		}
	}
	return nil
}

// listImports returns the graph of this module and everything that it depends on.
func listImports(t *testing.T) importGraph {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports", "./...")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	g := importGraph{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return g
		} else if err != nil {
			t.Fatal(err)
		}
		imports := make([]string, len(p.Imports))
		for i, name := range p.Imports {
			imports[i] = strings.TrimPrefix(name, module)
		}
		g[strings.TrimPrefix(p.ImportPath, module)] = imports
	}
}

// TestImportRules checks that the packages follow the three import rules of CONTRIBUTING.md.
func TestImportRules(t *testing.T) {
	g := listImports(t)
	for _, p := range append(slices.Clone(configImporters), machines...) {
		if slices.Contains(notYet, p) {
			continue
		}
		if _, ok := g[p]; !ok {
			t.Errorf("package %s does not exist: if it was renamed, change the rule that names it", p)
		}
	}
	for _, p := range []string{"bridge/config", "bridge/internal/conn", "cmd/zwsbridge", "zws", "net/http"} {
		if _, ok := g[p]; !ok {
			t.Errorf("package %s does not exist", p)
		}
	}
	for name, rule := range importRules {
		t.Run(name, func(t *testing.T) {
			for _, refused := range rule(g) {
				t.Error(refused)
			}
		})
	}
}

// TestRouteConfig checks that only the file of bridge/internal/route with its constructors imports
// the configuration, and nothing that runs per message or per client.
func TestRouteConfig(t *testing.T) {
	files, err := filepath.Glob("internal/route/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var importers []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(filepath.Base(file), "config") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range tree.Imports {
			if i.Path.Value == `"`+module+`bridge/config"` {
				importers = append(importers, file)
			}
		}
	}
	if len(importers) != 0 {
		t.Errorf("%d files of route import bridge/config, want only those with the constructors, config*.go: %v", len(importers), importers)
	}
}

// notYet lists packages that a rule names before they exist.
var notYet []string

// TestImportRulesRefuse checks that each rule finds an import that breaks it.
func TestImportRulesRefuse(t *testing.T) {
	for _, c := range []struct {
		rule    string
		from    string
		imports []string
		want    string // start of what the rule reports; empty: nothing
	}{
		{"configuration stops at constructors", "bridge/internal/conn", []string{"bridge/config"}, "bridge/internal/conn imports bridge/config: "},
		{"configuration stops at constructors", "bridge/internal/auth", []string{"bridge/config"}, ""},
		{"configuration stops at constructors", "cmd/zwsbridge/demo", []string{"bridge/config"}, ""},
		{"machines do not import transports", "bridge/internal/queue", []string{"zws"}, "bridge/internal/queue imports zws: "},
		{"machines do not import transports", "bridge/internal/queue", []string{"zap"}, "bridge/internal/queue imports zap imports zap/remote imports net/http: "},
		{"machines do not import transports", "bridge/internal/history/filestore", []string{"net/http"}, "bridge/internal/history/filestore imports net/http: "},
		{"machines do not import transports", natsStore, []string{"net/http"}, ""},
		{"machines do not import transports", "zws/zmtp", []string{"net"}, ""},
		{"machines do not import transports", "bridge/internal/conn", []string{"zws", "net/http"}, ""},
		{"only the façade imports admin", "bridge/internal/conn", []string{"bridge/internal/admin/page"}, "bridge/internal/conn imports bridge/internal/admin/page: "},
		{"only the façade imports admin", "cmd/zwsbridge", []string{"bridge/internal/admin"}, ""},
	} {
		t.Run(c.rule+"/"+path.Base(c.from), func(t *testing.T) {
			g := importGraph{c.from: c.imports, "zap": {"zap/remote"}, "zap/remote": {"net/http"}}
			refused := importRules[c.rule](g)
			switch {
			case c.want == "" && len(refused) > 0:
				t.Errorf("got %q, want no report", refused)
			case c.want != "" && (len(refused) != 1 || !strings.HasPrefix(refused[0], c.want)):
				t.Errorf("got %q, want one report that begins with %q", refused, c.want)
			}
		})
	}
}
