package httpauth

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/zwsbridge/zwsbridge/zap/internal/httpclient"
)

// field is a field of a form.
type field struct{ name, value string }

// form is a request. Its fields are in RabbitMQ's order.
type form []field

// encode returns the form as application/x-www-form-urlencoded.
func (f form) encode() string {
	var b strings.Builder
	for i, p := range f {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name)
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.value))
	}
	return b.String()
}

// userForm asks whether the password is right.
func userForm(user, password, vhost string) form {
	return form{{"username", user}, {"password", password}, {"vhost", vhost}}
}

// vhostForm asks whether the user may use vhost from the address ip.
func vhostForm(user, vhost, ip, tags string) form {
	return form{{"username", user}, {"vhost", vhost}, {"ip", ip}, {"tags", tags}}
}

// resourceForm asks about an exchange as a whole.
func resourceForm(user, vhost, name, permission, tags string) form {
	return form{
		{"username", user}, {"vhost", vhost},
		{"resource", "exchange"}, {"name", name}, {"permission", permission}, {"tags", tags},
	}
}

// topicForm asks about a topic of an exchange.
func topicForm(user, vhost, name, permission, tags, key string) form {
	return form{
		{"username", user}, {"vhost", vhost},
		{"resource", "topic"}, {"name", name}, {"permission", permission}, {"tags", tags},
		{"routing_key", key},
		{"variable_map.username", user}, {"variable_map.vhost", vhost},
	}
}

// ask sends a form to address and parses the response with read.
func (c *Client) ask(ctx context.Context, via *httpclient.Client, address string, f form, read func(int, []byte) (answer, error)) (answer, error) {
	req, err := c.request(ctx, address, f.encode())
	if err != nil {
		return answer{}, err
	}
	status, body, err := via.Do(req)
	if err == nil {
		var a answer
		if a, err = read(status, body); err == nil {
			return a, nil
		}
	}
	return answer{}, fmt.Errorf("HTTP service %s%s: %w", req.URL.Host, req.URL.Path, err) // without the query, which may hold a password
}

func (c *Client) request(ctx context.Context, address, encoded string) (*http.Request, error) {
	if c.o.Method == http.MethodGet {
		separator := "?"
		if strings.Contains(address, "?") {
			separator = "&"
		}
		return http.NewRequestWithContext(ctx, http.MethodGet, address+separator+encoded, nil)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(encoded))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, err
}
