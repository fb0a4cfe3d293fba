package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxConfig is how large a configuration file can be, in bytes.
const maxConfig = 1 << 20

// Load reads and checks a configuration file of at most 1 MiB. It starts nothing and writes
// nothing; it reads those files that the configuration names whose mistakes it can find. If
// faults.Err() is not nil the Config is nil; otherwise faults has warnings only.
func Load(file string) (_ *Config, faults Faults) {
	f, err := os.Open(file)
	if err != nil {
		return nil, unreadable(file, err)
	}
	defer f.Close()
	return Parse(f, file)
}

// Parse is [Load] for a configuration that is read from r. file is its name in faults, and
// relative paths are relative to its directory; the file need not exist.
func Parse(r io.Reader, file string) (_ *Config, faults Faults) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, unreadable(file, err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err != nil {
		return nil, unreadable(file, err)
	}
	if len(text) > maxConfig {
		return nil, Faults{{File: file, Text: "is larger than 1 MiB"}}
	}
	if line := tooDeep(string(text)); line > 0 {
		return nil, Faults{{File: file, Line: line, Text: fmt.Sprintf("nests deeper than %d levels", maxDepth)}}
	}
	return parse(file, filepath.Dir(abs), string(text), os.LookupEnv)
}

func unreadable(file string, err error) Faults {
	return Faults{{File: file, Text: "cannot be read: " + unusable(err)}}
}

// parse reads the text of a configuration file in dir.
func parse(file, dir, text string, getenv func(string) (string, bool)) (*Config, Faults) {
	r := &reporter{file: file, expanded: make(map[string]string)}
	text = strings.TrimPrefix(text, "\ufeff") // as the library does; the index of lines must too
	parsed := make(map[string]any)
	if _, err := toml.Decode(text, &parsed); err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return nil, Faults{syntaxFault(file, text, syntax)}
		}
		return nil, Faults{{File: file, Text: err.Error()}}
	}
	r.lines = indexLines(text)
	c := Default()
	c.File, c.Dir = file, dir
	c.Server.CurveCert = absolute(dir, string(c.Server.CurveCert))
	c.History.Dir = absolute(dir, string(c.History.Dir))
	if _, ok := parsed["admin"]; ok {
		c.Admin = defaultAdmin()
	}
	d := &decoder{reporter: r, dir: dir, getenv: getenv, given: make(map[string]bool)}
	d.table("", fields(reflect.ValueOf(c).Elem()), parsed)
	c.complete()
	return (&checker{reporter: r, Config: c, given: d.given}).run()
}

// reason returns the text of err without the name of the system call.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Path + ": " + pe.Err.Error()
	}
	return err.Error()
}
