package httpauth

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzEncode: a service reads exactly the intended fields and values, whatever bytes a client
// has put into them.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{"alice", "", "a&password=b", "a=b", "a b+c", "%2F%", "é\xff\x00", "a;b", "\r\nHost: x"} {
		f.Add(s, s+"'")
	}
	f.Fuzz(func(t *testing.T, user, key string) {
		encoded := topicForm(user, "homes", "devices", "read", "tag", key).encode()
		if strings.ContainsFunc(encoded, func(c rune) bool { return c <= ' ' || c > '~' }) {
			t.Fatalf("%q is not valid in a URL", encoded)
		}
		values, err := url.ParseQuery(encoded)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"username": user, "vhost": "homes", "resource": "topic", "name": "devices", "permission": "read",
			"tags": "tag", "routing_key": key, "variable_map.username": user, "variable_map.vhost": "homes",
		} {
			if got := values[name]; len(got) != 1 || got[0] != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
			delete(values, name)
		}
		if len(values) > 0 {
			t.Errorf("more fields: %q", values)
		}
	})
}
