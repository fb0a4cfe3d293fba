package config

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// onRoute is a grant that allows reading on the route of that name, and fails on the route
// "broken".
type onRoute struct {
	zap.Grant
	name string
}

var errBroken = errors.New("broken")

func (g onRoute) On(_ context.Context, _, route string) (zap.Access, error) {
	if route == "broken" {
		return zap.Access{}, errBroken
	}
	return zap.Access{Read: route == g.name}, nil
}

func TestRights(t *testing.T) {
	c := handMade()
	c.Routes[0].Allow = append(c.Routes[0].Allow,
		AllowRule{User: "alice", Subscribe: []string{"weather/", "{claim.house}/"}},
		AllowRule{User: "bob", Subscribe: []string{"#"}})
	c.Routes = append(c.Routes, Route{Path: "/open", Socket: zmtp.SUB, Connect: c.Routes[0].Connect})
	c, faults := Validate(c, ValidateOptions{})
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	got, err := Rights(t.Context(), c, "alice", &zap.Reply{Grants: []zap.Grant{onRoute{name: "devices"}}})
	if err != nil {
		t.Fatal(err)
	}
	devices, open := &c.Routes[0], &c.Routes[1]
	want := []RouteRights{{
		Route:  devices,
		Grants: []zap.Access{{Read: true}},
		Rules: []RuleRights{
			{Rule: &devices.Allow[0], Applies: true, Subscribe: []PatternRights{{"house/{user}/", []string{"house/alice/"}}}},
			{Rule: &devices.Allow[1], Applies: true, Subscribe: []PatternRights{
				{"weather/", []string{"weather/"}}, {"{claim.house}/", nil},
			}},
			{Rule: &devices.Allow[2]},
		},
	}, {
		Route:  open,
		Grants: []zap.Access{{}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c.Routes[1].Path = "/broken"
	if _, err := Rights(t.Context(), c, "alice", &zap.Reply{Grants: []zap.Grant{onRoute{}}}); !errors.Is(err, errBroken) {
		t.Errorf("a grant that fails: %v", err)
	}
}
