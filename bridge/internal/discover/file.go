package discover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/internal/watch"
)

// maxFile is how large a file of endpoints can be, in bytes.
const maxFile = 1 << 20

// FileOptions are the options of [NewFile].
type FileOptions struct {
	Path string
	// Endpoint checks an endpoint of the file and returns it in the form to connect to; a
	// relative ipc path, for example, made absolute.
	Endpoint func(endpoint string) (string, error)
	// NeedsKey and TakesKey are what the route does with server keys: without NeedsKey an
	// endpoint can be without one, and without TakesKey none can have one.
	NeedsKey, TakesKey bool
	Log                *slog.Logger
}

// file is a JSON file of endpoints.
type file struct{ o FileOptions }

// NewFile returns the source of a JSON file of at most 1 MiB:
//
//	["tcp://192.0.2.1:5556", {"endpoint": "tcp://192.0.2.2:5556", "server_key": "…"}]
//
// It is read again whenever it changes or is replaced, also through a symbolic link. A file that
// is missing, unreadable or wrong is a failure: an empty list must say so, [].
func NewFile(o FileOptions) Source { return &file{o} }

// Run implements [Source].
func (f *file) Run(ctx context.Context, report func(Report)) {
	report = distinct(report)
	load := func() error {
		endpoints, err := f.read()
		report(Report{Endpoints: endpoints, Err: err})
		return nil // it was reported
	}
	for {
		w, err := watch.Start(f.o.Path, load, f.o.Log)
		if err == nil {
			<-ctx.Done()
			_ = w.Close()
			return
		}
		_ = load()                    // it also says that the directory is missing
		if !sleep(ctx, minInterval) { // until there is a directory to watch
			return
		}
	}
}

// ReadFile returns the endpoints that are in the file of [NewFile] now.
func ReadFile(o FileOptions) ([]Endpoint, error) { return (&file{o}).read() }

// read returns the endpoints in the file.
func (f *file) read() ([]Endpoint, error) {
	text, _, err := watch.ReadFile(f.o.Path, maxFile)
	if err != nil {
		return nil, err
	}
	endpoints, err := f.parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.o.Path, err)
	}
	return endpoints, nil
}

// entry is one element of the list: a string or an object.
type entry struct {
	Endpoint  string `json:"endpoint"`
	ServerKey string `json:"server_key"`
}

// errShape describes the file. The errors of json name Go types instead.
var errShape = errors.New(`want a list of endpoints like "tcp://192.0.2.1:5556" or {"endpoint": "tcp://…", "server_key": "…"}`)

// UnmarshalJSON implements json.Unmarshaler.
func (e *entry) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &e.Endpoint)
	}
	if len(text) == 0 || text[0] != '{' {
		return errShape
	}
	type object entry // without this method
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode((*object)(e))
}

// parse reads the list.
func (f *file) parse(text []byte) ([]Endpoint, error) {
	var entries []entry
	err := json.Unmarshal(text, &entries)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		name := "the file"
		if wrong.Field != "" {
			name = wrong.Field
		}
		return nil, fmt.Errorf("%s is JSON of type %s: %w", name, wrong.Value, errShape)
	}
	if err != nil {
		return nil, err
	}
	if entries == nil {
		return nil, errors.New("is null: want a list, [] without endpoints")
	}
	endpoints := make([]Endpoint, 0, len(entries))
	for i, entry := range entries {
		e, err := f.endpoint(entry)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		endpoints = append(endpoints, e)
	}
	return listed(endpoints)
}

func (f *file) endpoint(from entry) (e Endpoint, err error) {
	if e.Address, err = f.o.Endpoint(from.Endpoint); err != nil {
		return e, err
	}
	switch {
	case from.ServerKey == "" && f.o.NeedsKey:
		return e, errors.New(`has no server_key, and neither has the route: mechanism = "CURVE" needs the backend's public key`)
	case from.ServerKey == "":
		return e, nil
	case !f.o.TakesKey:
		return e, errors.New(`has a server_key, and the route's mechanism is not "CURVE"`)
	}
	if e.ServerKey, err = certs.DecodeKey(from.ServerKey); err != nil {
		return e, fmt.Errorf("server_key is not a CURVE public key (40 Z85 characters): %w", err)
	}
	return e, nil
}
