package httpauth

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestAnswers(t *testing.T) {
	for _, tc := range []struct {
		status int
		body   string
		want   answer
		fault  bool
	}{
		{200, "allow", answer{allowed: true}, false},
		{201, "allow", answer{allowed: true}, false},
		{200, "ALLOW\n", answer{allowed: true}, false},
		{200, " allow  Administrator management ", answer{allowed: true, tags: []string{"administrator", "management"}}, false},
		{200, `"allow"`, answer{allowed: true}, false},
		{200, "\"allow management\"\n", answer{allowed: true, tags: []string{"management"}}, false},
		{200, `"\u0061llow"`, answer{allowed: true}, false},
		{200, "deny", answer{}, false},
		{200, "Deny", answer{}, false},
		{200, "deny not on Sundays", answer{reason: "not on Sundays"}, false},
		{200, `"deny not \"on\" Sundays"`, answer{reason: `not "on" Sundays`}, false},

		{200, "", answer{}, true},
		{200, `""`, answer{}, true},
		{200, "allowed", answer{}, true},
		{200, "allowmanagement", answer{}, true},
		{200, "denied", answer{}, true},
		{200, "yes", answer{}, true},
		{200, "true", answer{}, true},
		{200, `"allow`, answer{}, true},
		{200, `"allow" "deny"`, answer{}, true},
		{200, `{"result":"allow"}`, answer{}, true},
		{200, `["allow"]`, answer{}, true},
		{200, "<html>allow</html>", answer{}, true},
		{200, "allow\ndeny", answer{}, true},
		{200, "allow\x00", answer{}, true},
		{200, "allow \xff", answer{}, true},
		{200, "\ufeffallow", answer{}, true},
		{202, "allow", answer{}, true},
		{204, "", answer{}, true},
		{302, "allow", answer{}, true},
		{400, "deny", answer{}, true},
		{401, "deny", answer{}, true},
		{403, "allow", answer{}, true},
		{404, "allow", answer{}, true},
		{500, "allow", answer{}, true},
	} {
		got, err := parse(tc.status, []byte(tc.body))
		if (err != nil) != tc.fault {
			t.Errorf("%d %q: error %v, want one: %v", tc.status, tc.body, err, tc.fault)
		} else if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(answer{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%d %q: %s", tc.status, tc.body, diff)
		}
	}
	if _, err := parseBool(200, []byte("allow management")); err == nil {
		t.Error("tags are accepted where none belong")
	}
}

// FuzzParse: everything but the word itself allows nothing.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"allow", "allow a b", "deny", "deny why", `"allow"`, `"deny x"`, "", "allowx", "{}", "\"", "allow\n\n"} {
		f.Add(200, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a, err := parse(status, body)
		if err != nil && (a.allowed || a.reason != "") {
			t.Fatal("an answer with an error")
		}
		if !a.allowed {
			return
		}
		text := strings.ToLower(string(body))
		if !strings.Contains(text, "allow") && !strings.Contains(text, `\u`) || status != 200 && status != 201 {
			t.Fatalf("%d %q allows", status, body)
		}
		for _, tag := range a.tags {
			if tag == "" || strings.ContainsAny(tag, " \n\x00") {
				t.Fatalf("tag %q", tag)
			}
		}
	})
}
