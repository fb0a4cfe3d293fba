package config

import (
	"encoding"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
)

// decoder puts what the TOML library has parsed into the types of [Config]. The library's own
// decoder stops at the first value of a wrong type and names an unknown key without the index
// of its table; this one reports every fault with its key.
type decoder struct {
	*reporter
	dir    string // for relative paths
	getenv func(name string) (string, bool)
	given  map[string]bool // the keys in the file
}

// value stores src, the value of key, in dst.
func (d *decoder) value(key string, dst reflect.Value, src any) {
	d.given[key] = true
	taken := false
	switch src := src.(type) {
	case string:
		text, ok := src, isCurveKey(dst, src)
		if !ok {
			text, ok = d.expand(key, src)
		}
		if !ok {
			return // dst keeps its default
		}
		taken = d.text(key, dst, text)
	case bool:
		if taken = dst.Kind() == reflect.Bool; taken {
			dst.SetBool(src)
		}
	case int64:
		taken = number(dst, src)
	default:
		taken = d.composite(key, dst, src)
	}
	if !taken {
		d.wrongType(key, dst.Type(), src)
	}
}

// isCurveKey reports whether text is a key, which can have a ${NAME} in it by chance.
func isCurveKey(dst reflect.Value, text string) bool {
	if _, err := certs.DecodeKey(text); err != nil {
		return false
	}
	return dst.Type() == reflect.TypeFor[CurveKey]() && envPattern.FindString(text) != text
}

// wrongType reports a value that the type of its key cannot have.
func (d *decoder) wrongType(key string, t reflect.Type, src any) {
	want := describeType(t)
	text, isText := src.(string)
	switch allowed := words[indices.ReplaceAllString(key, "")]; {
	case t.Kind() == reflect.String && allowed != nil:
		want = choices(allowed)
	case isText && t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		want += fmt.Sprintf(", like [%q]", text)
	case t == reflect.TypeFor[map[string]Auth]():
		want = "tables with a name each, like [auth.users]"
	case t.Kind() == reflect.Struct && !strings.ContainsAny(key, ".["):
		want = fmt.Sprintf("one table, [%s]", key)
	}
	d.fault(key, "is %s: want %s", describeValue(src), want)
}

// words are the keys whose values are one of a few words, without the indices of entries.
var words = map[string][]string{
	"server.tls":               tlsChoices,
	"log.level":                logLevels,
	"log.format":               logFormats,
	"history.store":            stores,
	"route.mechanism":          {string(zap.NULL), string(zap.PLAIN), string(zap.CURVE)},
	"route.credentials":        {CredentialsStatic, CredentialsClient},
	"route.ready":              {ReadyAny, ReadyAll, ReadyNone},
	"route.on_full":            onFullChoices,
	"route.share":              {"", ShareRequests, ShareNone},
	"route.stamp":              {"", StampFrame, StampRoutingID},
	"route.on_wide":            {OnWideRefuse, OnWideNarrow},
	"route.history.last_value": lastValues,
	"route.history.queue":      {"", QueueUser},
}

// text stores a string in dst. It reports false if the type of dst has no string form.
func (d *decoder) text(key string, dst reflect.Value, text string) bool {
	switch v := dst.Addr().Interface().(type) {
	case *time.Duration:
		parseInto(d, key, v, text, parseDuration)
	case *netip.Prefix:
		parseInto(d, key, v, text, parseNetwork)
	case *Path:
		*v = absolute(d.dir, text)
	case *Paths:
		*v = Paths{absolute(d.dir, text)}
	case *AllowRules:
		if text != allowAll {
			d.fault(key, `is %q: want "all" or a list of rules`, text)
		}
	case *Words:
		*v = strings.Fields(text)
	case *Endpoint:
		v.Endpoint = text
	case encoding.TextUnmarshaler:
		if err := v.UnmarshalText([]byte(text)); err != nil {
			d.fault(key, "%v", err)
		}
	default:
		if dst.Kind() != reflect.String {
			return false
		}
		dst.SetString(text)
	}
	return true
}

// number stores a whole number in dst. It reports false if dst is neither a number nor a size.
func number(dst reflect.Value, n int64) bool {
	if size, ok := dst.Addr().Interface().(*Size); ok && n >= 0 {
		*size = Size(n)
		return true
	}
	if dst.Kind() != reflect.Int {
		return false
	}
	dst.SetInt(n)
	return true
}

// composite stores an array or a table in dst. It reports false if the type of dst has no such
// form.
func (d *decoder) composite(key string, dst reflect.Value, src any) bool {
	if table, ok := src.(map[string]any); ok {
		if a, ok := dst.Addr().Interface().(*Auth); ok {
			d.auth(key, a, table)
			return true
		}
	}
	if tables, ok := src.([]map[string]any); ok {
		entries := make([]any, len(tables))
		for i, t := range tables {
			entries[i] = t
		}
		src = entries
	}
	switch src := src.(type) {
	case []any:
		if dst.Kind() != reflect.Slice {
			return false
		}
		d.list(key, dst, src)
		return true
	case map[string]any:
		switch dst.Kind() {
		case reflect.Struct:
			d.table(key, fields(dst), src)
			return true
		case reflect.Map:
			dst.Set(reflect.MakeMap(dst.Type()))
			for _, name := range slices.Sorted(maps.Keys(src)) {
				v := reflect.New(dst.Type().Elem()).Elem()
				d.value(joinKey(key, name), v, src[name])
				dst.SetMapIndex(reflect.ValueOf(name), v)
			}
			return true
		}
	}
	return false
}

// list stores an array in a slice. The slice is not nil even if the array is empty: an empty
// list and no list are different.
func (d *decoder) list(key string, dst reflect.Value, src []any) {
	dst.Set(reflect.MakeSlice(dst.Type(), len(src), len(src)))
	for i, v := range src {
		if r, ok := dst.Index(i).Addr().Interface().(*Route); ok {
			*r = defaultRoute()
		}
		d.value(entry(key, i), dst.Index(i), v)
		if r, ok := dst.Index(i).Addr().Interface().(*Route); ok {
			r.AllowAll = r.Allow == nil && d.given[entry(key, i)+".allow"]
		}
	}
}

// table stores the keys of a table in fields, and reports those that are unknown.
func (d *decoder) table(key string, fields map[string]reflect.Value, src map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(src)) {
		f, ok := fields[name]
		if !ok {
			d.unknownKey(joinKey(key, name), name, fields)
			continue
		}
		if f.Kind() == reflect.Pointer {
			v := reflect.New(f.Type().Elem())
			if !f.IsNil() {
				v.Elem().Set(f.Elem())
			}
			f.Set(v)
			f = v.Elem()
		}
		d.value(joinKey(key, name), f, src[name])
	}
}

// auth decodes [auth.NAME], whose other keys depend on its type.
func (d *decoder) auth(key string, dst *Auth, src map[string]any) {
	known := fields(reflect.ValueOf(dst).Elem())
	name, _ := src["type"].(string)
	withDefaults, ok := authKinds[name]
	if !ok {
		types := choices(authTypes())
		if _, given := src["type"]; given {
			d.fault(joinKey(key, "type"), "is %s: want %s", describeValue(src["type"]), types)
		} else {
			d.fault(key, "has no type: want %s", types)
		}
		return
	}
	dst.Settings = withDefaults()
	maps.Copy(known, fields(reflect.ValueOf(dst.Settings).Elem()))
	d.table(key, known, src)
}

// parseInto stores the value of text in dst. If it does not parse, dst keeps its default, so
// that no second fault follows.
func parseInto[T any](d *decoder, key string, dst *T, text string, parse func(string) (T, error)) {
	v, err := parse(text)
	if err != nil {
		d.fault(key, "%v", err)
		return
	}
	*dst = v
}

// absolute makes a file name absolute. "*" is a word, not a file name.
func absolute(dir, name string) Path {
	if name == "" || name == "*" || filepath.IsAbs(name) {
		return Path(name)
	}
	return Path(filepath.Join(dir, name))
}

var envPattern = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand replaces ${NAME} by the environment variable; its value is not expanded again. It
// reports false if a variable is not set.
func (d *decoder) expand(key, text string) (expanded string, ok bool) {
	ok = true
	expanded = envPattern.ReplaceAllStringFunc(text, func(reference string) string {
		value, set := d.getenv(reference[2 : len(reference)-1])
		if !set {
			d.fault(key, "%s is not set in the environment: set it for the bridge, with systemd by Environment=", reference)
			ok = false
		}
		if value != "" {
			d.expanded[value] = reference
		}
		return value
	})
	return expanded, ok
}

// fields returns the fields of a struct by their names in the file.
func fields(v reflect.Value) map[string]reflect.Value {
	all := make(map[string]reflect.Value)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("toml"); name != "-" {
			all[name] = v.Field(i)
		}
	}
	return all
}

// describeType names a type in the terms of the file.
func describeType(t reflect.Type) string {
	switch reflect.Zero(t).Interface().(type) {
	case time.Duration:
		return `a duration like "10s"`
	case Size:
		return `a size like "16KiB"`
	case Interval:
		return `two durations like "100ms..10s"`
	case netip.Prefix:
		return `a network like "10.0.0.0/8"`
	case CurveKey:
		return "a CURVE public key (40 Z85 characters)"
	case ChainEntry:
		return `a table like { authn = "users" }`
	case PeerRule:
		return `a table like { user = "*", publish = ["house/{user}/"] }`
	case AllowRule:
		return `a table like { user = "*", subscribe = ["house/{user}/"] }`
	case Auth:
		return `a table like [auth.users], with a type`
	case Route:
		return "a table of its own, [[route]]"
	case Endpoint:
		return `an endpoint like "tcp://127.0.0.1:5556" or a table with endpoint and server_key`
	}
	if t == reflect.TypeFor[AllowRules]() {
		return `"all" or a list of rules`
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "a list, each entry " + describeType(t.Elem())
	}
	return "a table"
}

// describeValue quotes a value of the file. Strings are not expanded: an environment variable
// can be a secret.
func describeValue(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case bool, int64, float64:
		return fmt.Sprint(v)
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}
