package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/BurntSushi/toml"
)

// maxConfig is how large a configuration file may be, in octets.
const maxConfig = 1 << 20

// Load reads and checks a configuration file. It starts nothing and writes nothing; of the
// files that the configuration names it reads those that it can tell to be no use. The
// Config is nil if faults.Err() is not nil; otherwise faults holds warnings only.
func Load(file string) (*Config, Faults) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, Faults{{File: file, Text: err.Error()}}
	}
	info, err := os.Stat(abs)
	if err == nil && info.Size() > maxConfig {
		return nil, Faults{{File: file, Text: "is larger than 1 MiB"}}
	}
	text, err := os.ReadFile(abs)
	if err != nil {
		return nil, Faults{{File: file, Text: "cannot be read: " + reason(err)}}
	}
	return parseConfig(file, filepath.Dir(abs), string(text), os.LookupEnv)
}

// parseConfig reads the text of a configuration file that lies in dir.
func parseConfig(file, dir, text string, getenv func(string) (string, bool)) (*Config, Faults) {
	r := &reporter{file: file, expanded: make(map[string]string)}
	parsed := make(map[string]any)
	if _, err := toml.Decode(text, &parsed); err != nil {
		f := Fault{File: file, Text: err.Error()}
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			f.Line, f.Key, f.Text = syntax.Position.Line, syntax.LastKey, syntax.Message
		}
		return nil, Faults{f}
	}
	r.lines = indexLines(text)
	c := defaultConfig()
	c.File, c.Dir = file, dir
	if _, ok := parsed["admin"]; ok {
		c.Admin = defaultAdmin
	}
	d := &decoder{reporter: r, dir: dir, getenv: getenv, given: make(map[string]bool)}
	d.table("", fields(reflect.ValueOf(&c).Elem()), parsed)
	d.fillIn(&c)
	(&checker{reporter: r, Config: &c, given: d.given}).check()
	faults := r.sorted()
	if faults.Err() != nil {
		return nil, faults
	}
	return &c, faults
}

// reason is what went wrong with a file, without the name of the system call.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Path + ": " + pe.Err.Error()
	}
	return err.Error()
}
