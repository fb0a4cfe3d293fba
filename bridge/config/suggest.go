package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// unknownKey reports a key that its table does not have, with the name that was probably
// meant: one of the table that is spelled alike, or the table that has such a key.
func (d *decoder) unknownKey(key, name string, known map[string]reflect.Value) {
	if _, ok := fields(reflect.ValueOf(new(Route)).Elem())[name]; ok && strings.HasSuffix(key, "].history."+name) {
		d.fault(key, "is a key of [[route]]: in TOML it has to stand above [route.history], which takes what follows it")
		return
	}
	names := slices.Sorted(maps.Keys(known))
	for _, meant := range elsewhere[strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name))] {
		if _, ok := known[meant]; ok {
			d.fault(key, "unknown key: did you mean %s?", meant)
			return
		}
	}
	if meant := similar(name, names); meant != "" {
		d.fault(key, "unknown key: did you mean %s?", meant)
		return
	}
	hint := ""
	if table := tableWith(name); table != "" && key != name {
		hint = fmt.Sprintf("; did you mean %s of %s?", name, table)
	}
	d.fault(key, "unknown key: allowed here are %s%s", strings.Join(names, ", "), hint)
}

// elsewhere are names that other programs have for keys of this one, without hyphens and
// underscores.
var elsewhere = map[string][]string{
	"port": {"listen"}, "address": {"listen", "connect"}, "addr": {"listen", "connect"}, "host": {"hosts", "connect"},
	"certificate": {"cert"}, "privatekey": {"key"}, "allowedorigins": {"origins"}, "cors": {"origins"}, "root": {"static"},
	"endpoint": {"connect"}, "endpoints": {"connect"}, "url": {"connect"}, "type": {"socket"}, "sockettype": {"socket"}, "topics": {"allow"}, "rules": {"allow"},
	"acl": {"allow"}, "user": {"username"}, "password": {"password_file"}, "publickey": {"server_key"}, "hwm": {"high_water_mark"},
	"token": {"token_file"}, "secret": {"token_file"}, "path": {"file", "dir"}, "clientid": {"oidc_client_id"},
	"maxsize": {"max_bytes"}, "retention": {"max_age"}, "ttl": {"max_age"}, "prefixes": {"topics"},
}

// tableWith returns the table that has a key called name; empty if several have it, or none.
func tableWith(name string) (table string) {
	for of, t := range map[string]any{"[server]": Server{}, "[admin]": Admin{}, "[zap]": Zap{}, "[[route]]": Route{}} {
		if _, ok := fields(reflect.ValueOf(&t).Elem().Elem())[name]; ok {
			if table != "" {
				return ""
			}
			table = of
		}
	}
	return table
}

// similar returns the name that is spelled most like text: the same apart from case, hyphens
// and underscores, or with at most a third of its letters wrong. It is empty if there is none.
func similar(text string, names []string) string {
	plain := strings.NewReplacer("-", "", "_", "")
	best, least := "", len(text)/3+1
	if len(text) < 3 {
		least = 1
	}
	for _, name := range names {
		a, b := plain.Replace(strings.ToLower(text)), plain.Replace(strings.ToLower(name))
		if a == b {
			return name
		}
		if n := distance(a, b); n < least {
			best, least = name, n
		}
	}
	return best
}

// distance returns how many letters have to be added, left out, replaced, or swapped with
// their neighbor to make b of a (optimal string alignment).
func distance(a, b string) int {
	var before []int // the row before last
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
